import Foundation
package import Logging
import Perdure
package import PerdureHistory
package import PerdureStore
import ServiceLifecycle

/// Tells a consumer of every event of every run after its commit, in the order of the run's history, each at least once, whatever
/// processes are killed meanwhile.
///
/// What was told is kept in the store, under the consumer's name: one name is one consumer, whichever process works for it. One process at
/// a time does; others wait. Two may for a moment, where one has stood still: then things are told twice, but nothing is left out.
///
/// A consumer that is new begins with the runs that are open, each from its first event, and with those that begin from then on. Of
/// runs that had ended before it is told nothing.
///
/// Not told: `run.expired`, which is no event of the run's but of what keeps it. A run whose history has expired, or cannot be read, is
/// passed over with a warning; one that cannot be read is looked at again. Where history was put back and went on in another way, a run is
/// told from its first event again as soon as it grows.
///
/// **Cost.** There is no order of all events, so each sweep asks for the last event of every open run, 1,000 runs a question, and keeps
/// about 100 bytes for each in memory. On PostgreSQL on the same machine a question takes about 10 ms, so a sweep over a million runs that
/// wait takes about 10 seconds. The pause between two sweeps is ten times what the last one took, but never less than a second and never
/// more than a minute. So what befalls a run is told after a second where there are few, and after a minute and more where there are very
/// many. What is new with a run costs three questions more, and a change of the row that it shares with 249 others.
package actor HistoryFollower: Service {
    /// Gets the run as its row says, which may be ahead of the events; and the next events, at most 500. Several runs are told of at
    /// the same time, but each in its order. If it throws, it gets the same events again later: after a second, and then ever more seldom,
    /// down to once a minute.
    package typealias Consumer = @Sendable (RunRecord, [Event]) async throws -> Void

    /// Time, as a follower sees it.
    package struct Timing: Sendable {
        /// The time since some moment.
        package var elapsed: @Sendable () -> Duration
        package var sleep: @Sendable (Duration) async throws -> Void

        package init(
            elapsed: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void
        ) {
            self.elapsed = elapsed
            self.sleep = sleep
        }

        package static var real: Timing {
            let clock = ContinuousClock(), begin = clock.now
            return Timing(elapsed: { begin.duration(to: clock.now) }, sleep: { try await clock.sleep(for: $0) })
        }
    }

    /// What one sweep has done.
    package struct Sweep: Sendable, Hashable {
        /// Whether this process works for the consumer. Otherwise nothing was done.
        package var isOurs = false
        /// How many runs are followed.
        package var runs = 0
        /// How many of them had something new.
        package var grown = 0
        /// How many could not be told of.
        package var refused = 0
    }

    /// What keeps a run from being told of, and when it is tried again.
    private struct Obstacle {
        var until: Duration
        var pause: Duration
        /// What its history had as its last event; if that changes, it is tried at once.
        var last: Int64?
        var isUnreadable: Bool
    }

    private static let shortestPause = Duration.seconds(1), longestPause = Duration.seconds(60)
    private static let unreadablePause = Duration.seconds(600)
    private static let runsAtOnce = 1_000, toldAtOnce = 8

    private let consumer: String
    private let client: Client
    private let logger: Logger
    private let timing: Timing
    private let tell: Consumer
    private var claim: FollowerClaim
    /// Nil where they have to be read from the store.
    private var marks: FollowerMarks?
    /// Runs that are known behind the place up to which all are.
    private var seen: Set<Int64> = []
    /// Up to this run all are known once these transactions are over.
    private var pending: (place: FollowerMarks.Place, makers: Set<String>)?
    private var obstacles: [Int64: Obstacle] = [:]
    private var isRefused = false
    private var isBlind = false
    private var isHolding = false
    /// Of the claim, when the marks in memory were read.
    private var tenure = 0

    /// - Parameters:
    ///   - consumer: Names what was told, in the store.
    ///   - client: An operator's.
    /// - Throws: `PerdureError` with `name_invalid`, or with `usage` for a client that is confined to a namespace.
    package init(
        _ consumer: String, client: Client, logger: Logger, timing: Timing = .real, tell: @escaping Consumer
    ) throws {
        guard Name.isIdentifier(FollowerMarks.kind(of: consumer)) else {
            throw PerdureError(.nameInvalid, "'\(consumer.prefix(200))' cannot name who is told of events.")
        }
        try client.requireOperator("follow what befalls runs")
        self.consumer = consumer
        self.client = client
        self.logger = logger
        self.timing = timing
        self.tell = tell
        claim = FollowerClaim(of: consumer, owner: UUID().uuidString)
    }

    private var store: any Store { client.store }

    // MARK: Running

    /// Sweeps until it is shut down, or its task is cancelled. What cannot be asked now is asked again.
    package func run() async {
        await cancelWhenGracefulShutdown { await self.sweepAgainAndAgain() }
        let mine = claim
        claim = FollowerClaim(of: consumer, owner: UUID().uuidString)
        await mine.giveUp(in: store)
    }

    private func sweepAgainAndAgain() async {
        await withTaskGroup { group in
            // A consumer may take its time.
            group.addTask { await self.keepClaim() }
            var pause = Duration.zero
            while !Task.isCancelled {
                if pause > .zero { guard (try? await timing.sleep(pause)) != nil else { break } }
                let begin = timing.elapsed()
                await sweepOrSay()
                pause = min(max((timing.elapsed() - begin) * 10, Self.shortestPause), Self.longestPause)
            }
            group.cancelAll()
        }
    }

    private func keepClaim() async {
        while (try? await timing.sleep(FollowerClaim.length / 3)) != nil {
            guard claim.isHeld else { continue }
            do {
                _ = try await hold()
            } catch {
                // What is in memory may not be what stands in the store any more.
                claim.interrupt()
            }
        }
    }

    private func sweepOrSay() async {
        do throws(StoreError) {
            try await sweep()
            if isBlind { logger.notice("what befalls runs can be followed again", metadata: ["consumer": "\(consumer)"]) }
            isBlind = false
        } catch {
            // What was told and not written down is told again.
            forget()
            if !isBlind, !Task.isCancelled {
                logger.error(
                    "what befalls runs cannot be followed now; trying again",
                    metadata: ["consumer": "\(consumer)", "error": "\(error)"])
            }
            isBlind = true
        }
    }

    private func hold() async throws(StoreError) -> Bool {
        // Its own renewal is not to be taken for another process's.
        if isHolding { return claim.isHeld }
        isHolding = true
        defer { isHolding = false }
        var mine = claim
        let isHeld = try await mine.hold(in: store, timing.elapsed())
        claim = mine
        return isHeld
    }

    /// What stands in the store counts.
    private func forget() { (marks, seen, pending) = (nil, [], nil) }

    // MARK: Sweeping

    /// Looks at every run once.
    @discardableResult
    package func sweep() async throws(StoreError) -> Sweep {
        guard try await hold() else {
            forget()
            return Sweep()
        }
        if claim.tenure != tenure { forget() }
        tenure = claim.tenure
        var marks: FollowerMarks
        if let known = self.marks { marks = known } else { marks = try await load() }
        // Whatever ends this sweep early, the next one begins with what the store knows.
        self.marks = nil
        guard try await findRuns(&marks) else { return Sweep(isOurs: true) }
        var sweep = Sweep(isOurs: true, runs: marks.count), last: Int64?
        let order = marks.chunkOrder
        while true {
            let (runs, end) = marks.numbers(after: last, limit: Self.runsAtOnce, order)
            guard let end else { break }
            last = end
            let grown = try await grown(runs, marks)
            sweep.grown += grown.count
            sweep.refused += try await follow(grown, &marks)
            guard try await hold(), claim.tenure == tenure, try await marks.save(in: store) else {
                forget()
                return sweep
            }
        }
        noteRefusals(sweep)
        self.marks = marks
        return sweep
    }

    private func load() async throws(StoreError) -> FollowerMarks {
        var marks = try await FollowerMarks(of: consumer, in: store)
        seen = []
        for chunk in marks.damaged {
            logger.warning(
                "what was told of some runs is not known; they are told from their beginning",
                metadata: ["consumer": "\(consumer)", "from_run": "\(chunk * FollowerMarks.chunkSize)"])
            let end = (chunk + 1) * FollowerMarks.chunkSize
            for run in try await store.runNumbers(before: end, limit: Int(FollowerMarks.chunkSize))
            where run / FollowerMarks.chunkSize == chunk {
                marks[run] = .beginning
            }
        }
        marks.forgetDamage()
        return marks
    }

    /// Those that have something new, with their last events.
    private func grown(_ runs: [Int64], _ marks: FollowerMarks) async throws(StoreError) -> [(Int64, Int64?)] {
        let seqs = try await store.lastSeqs(of: runs), now = timing.elapsed()
        return runs.compactMap { run in
            let last = seqs[run]
            guard last != marks[run]?.seq else { return nil }
            if let obstacle = obstacles[run], obstacle.until > now, !obstacle.isUnreadable || obstacle.last == last { return nil }
            return (run, last)
        }
    }

    private func follow(_ runs: [(Int64, Int64?)], _ marks: inout FollowerMarks) async throws(StoreError) -> Int {
        let work = runs.compactMap { run, last in
            marks[run].map { (RunFollowing(run, upTo: last, client, tell), from: $0) }
        }
        var refused = 0, failure: StoreError?
        for answer in await Self.go(work) {
            switch answer.outcome {
            case .success(let outcome):
                if case .refused = outcome { refused += 1 }
                note(outcome, of: answer.following, answer.mark, &marks)
            case .failure(let error):
                marks[answer.following.number] = answer.mark
                failure = error
            }
        }
        if let failure {
            if try await hold(), claim.tenure == tenure { _ = try await marks.save(in: store) }
            throw failure
        }
        return refused
    }

    private typealias Answer = (following: RunFollowing, mark: FollowerMark, outcome: Result<RunFollowing.Outcome, StoreError>)

    /// Several at the same time, since consumers wait for others. Begins no more once the store cannot be asked.
    @concurrent
    private static func go(_ work: [(RunFollowing, from: FollowerMark)]) async -> [Answer] {
        await withTaskGroup(of: Answer.self) { group in
            var answers: [Answer] = [], rest = work[...], isOver = false
            for (following, mark) in rest.prefix(toldAtOnce) { group.addTask { await go(following, mark) } }
            rest = rest.dropFirst(toldAtOnce)
            while let answer = await group.next() {
                answers.append(answer)
                if case .failure = answer.outcome { isOver = true }
                if !isOver, let (following, mark) = rest.popFirst() { group.addTask { await go(following, mark) } }
            }
            return answers
        }
    }

    @concurrent
    private static func go(_ following: RunFollowing, _ mark: FollowerMark) async -> Answer {
        var mark = mark
        do throws(StoreError) {
            let outcome = try await following.go(from: &mark)
            return (following, mark, .success(outcome))
        } catch {
            return (following, mark, .failure(error))
        }
    }

    private func note(
        _ outcome: RunFollowing.Outcome, of following: RunFollowing, _ mark: FollowerMark, _ marks: inout FollowerMarks
    ) {
        let run = following.number
        marks[run] = mark
        switch outcome {
        case .told: obstacles[run] = nil
        case .ended:
            marks[run] = nil
            obstacles[run] = nil
        case .lost(let reason):
            marks[run] = nil
            obstacles[run] = nil
            logger.warning("not all that befell a run was told, since it is gone", metadata: metadata(run, reason))
        case .unreadable(let reason):
            if obstacles[run]?.isUnreadable != true {
                logger.warning("a run cannot be followed; passing it over", metadata: metadata(run, reason))
            }
            obstacles[run] = Obstacle(
                until: timing.elapsed() + Self.unreadablePause, pause: Self.unreadablePause, last: following.last,
                isUnreadable: true)
        case .refused(let reason):
            if !isRefused, !Task.isCancelled {
                logger.warning("what befell a run cannot be told now; trying again", metadata: metadata(run, reason))
            }
            isRefused = true
            let pause = min((obstacles[run]?.pause).map { $0 * 2 } ?? Self.shortestPause, Self.longestPause)
            obstacles[run] = Obstacle(until: timing.elapsed() + pause, pause: pause, last: nil, isUnreadable: false)
        }
    }

    private func metadata(_ run: Int64, _ reason: String) -> Logger.Metadata {
        ["consumer": "\(consumer)", "run_number": "\(run)", "error": "\(reason)"]
    }

    private func noteRefusals(_ sweep: Sweep) {
        guard isRefused, sweep.refused == 0, !obstacles.values.contains(where: { !$0.isUnreadable }) else { return }
        isRefused = false
        logger.notice("what befell runs can be told again", metadata: ["consumer": "\(consumer)"])
    }

    // MARK: New runs

    private static let openStates = RunState.allCases.filter { !$0.isFinal }
    private static let listed = 1_000

    /// Takes in the runs that have begun.
    ///
    /// Where several nodes write, a run may be seen after one with a larger number. So up to which number all are known moves on only to
    /// where it was before transactions were seen that are all over now.
    ///
    /// - Returns: False if somebody else writes the marks, or the consumer has to wait for its beginning.
    private func findRuns(_ marks: inout FollowerMarks) async throws(StoreError) -> Bool {
        var settled: FollowerMarks.Place?
        if let pending, try await store.runMakers().isDisjoint(with: pending.makers) {
            settled = pending.place
            self.pending = nil
        }
        if let place = marks.place {
            try await addRuns(behind: place, &marks)
        } else if let settled {
            try await addOpenRuns(upTo: settled, &marks)
        }
        if let settled {
            marks.move(to: settled)
            seen = seen.filter { $0 > settled.number }
        }
        guard try await marks.save(in: store) else {
            forget()
            return false
        }
        if pending == nil, let newest = try await newest(), newest != marks.place {
            // Asked after the newest run was seen: who made one before it is among them, or is over.
            pending = (newest, try await store.runMakers())
        }
        return marks.place != nil
    }

    /// The newest run; of a store without any the beginning.
    private func newest() async throws(StoreError) -> FollowerMarks.Place? {
        guard let number = try await store.runNumbers(before: nil, limit: 1).first else {
            return FollowerMarks.Place(number: 0, madeAt: .epoch)
        }
        return FollowerMarks.Place(number: number, madeAt: try await madeAt(number) ?? .epoch)
    }

    /// Nil if there is no such run, or it cannot be read.
    private func madeAt(_ number: Int64) async throws(StoreError) -> Timestamp? {
        do throws(StoreError) {
            return try await store.run(number: number)?.createdAt
        } catch {
            switch error {
            case .corrupt, .unsupported: return nil
            case .unavailable, .awaitsNodes, .outcomeUnknown, .unusable, .leaseLost, .closed: throw error
            }
        }
    }

    private func addRuns(behind place: FollowerMarks.Place, _ marks: inout FollowerMarks) async throws(StoreError) {
        // A store may give the numbers of its newest runs anew when those are removed.
        var isSame = place.number == 0
        if !isSame { isSame = try await madeAt(place.number) == place.madeAt }
        var before: Int64?
        while true {
            // Mostly there is nothing new.
            let page = try await store.runNumbers(before: before, limit: before == nil ? 20 : Self.listed)
            for run in page {
                if run <= place.number {
                    guard !isSame, let madeAt = try await madeAt(run), madeAt > place.madeAt else { return }
                }
                if seen.insert(run).inserted, marks[run] == nil { marks[run] = .beginning }
            }
            guard let last = page.last else { return }
            before = last
        }
    }

    /// Where a consumer begins.
    private func addOpenRuns(upTo place: FollowerMarks.Place, _ marks: inout FollowerMarks) async throws(StoreError) {
        var before: Int64? = place.number + 1
        while true {
            let page = try await openRuns(before: before)
            for run in page.open where marks[run] == nil { marks[run] = .beginning }
            guard let last = page.last else { return }
            before = last
        }
    }

    private func openRuns(before: Int64?) async throws(StoreError) -> (open: [Int64], last: Int64?) {
        do throws(StoreError) {
            let page = try await store.runs(RunFilter(states: Self.openStates, before: before, limit: Self.listed)).map(\.number)
            return (page, page.last)
        } catch {
            switch error {
            case .corrupt, .unsupported: break
            case .unavailable, .awaitsNodes, .outcomeUnknown, .unusable, .leaseLost, .closed: throw error
            }
        }
        // One that cannot be read keeps no other from being found.
        let numbers = try await store.runNumbers(before: before, limit: Self.listed)
        var open: [Int64] = []
        for number in numbers {
            do throws(StoreError) {
                if let run = try await store.run(number: number), !run.state.isFinal { open.append(number) }
            } catch {
                switch error {
                case .corrupt, .unsupported: open.append(number)
                case .unavailable, .awaitsNodes, .outcomeUnknown, .unusable, .leaseLost, .closed: throw error
                }
            }
        }
        return (open, numbers.last)
    }
}
