import CoreMetrics
import Logging
public import Perdure
import PerdureHistory
import PerdureStore

// Starting what is due by schedules. Every engine does it, whatever it hosts: a compare-and-set decides which one starts the runs of
// a due time, in the commit that makes them.
extension Engine {
    /// How many schedules are looked at for one commit.
    private static let pageLimit = 500
    /// How often a commit is put together anew because of due times that have a run already.
    private static let tries = 20
    /// How many due times of a backfill are looked up at once when one has turned out to have a run.
    private static let lookAhead = 200

    /// Makes a schedule in the engine's namespace, or finds that it is there just like that. Checks that the engine hosts the
    /// workflow and that it can read the input.
    ///
    /// - Returns: Whether this call made it.
    /// - Throws: As `Client.schedule`, and `workflow_unknown`.
    @discardableResult
    public func schedule(_ id: String, _ schedule: Schedule, by sender: Principal) async throws -> Bool {
        let registered = try registry.require(schedule.workflow, version: schedule.version)
        do {
            _ = try registered.input(json: schedule.input, limit: configuration.payloadLimit)
        } catch let error as PayloadError {
            throw PerdureError(error)
        }
        return try await client.schedule(id, schedule, in: configuration.namespace, by: sender)
    }

    /// Fires what is due, whenever something rings, until its task is cancelled.
    func keepSchedules() async {
        for await _ in schedules.bell.rings {
            if Task.isCancelled { break }
            do {
                try await fireSchedules()
                if upkeep.succeeded(.schedules, at: clock.now()) { logger.notice("schedules can be looked at again") }
            } catch {
                if upkeep.failed(.schedules, error) {
                    logger.error("schedules cannot be looked at; looking again", metadata: ["error": "\(error)"])
                }
                scheduler.schedule(after: .milliseconds(200)) { [schedules, bell] in
                    schedules.bell.ring()
                    // What was committed though it is not known may have started runs.
                    bell.ring()
                }
            }
        }
    }

    /// Fires all that is due, a page after the other, and has the next one ring.
    private func fireSchedules() async throws(StoreError) {
        let now = clock.now()
        var pause: Duration?, lines = StartLines()
        let ended = try await schedules.takeEnded().asyncRows(from: store)
        if !ended.isEmpty { pause = try await fire(ended, now, &lines) }
        var place: SchedulePlace?
        while !Task.isCancelled {
            let page = try await store.schedules(.due(after: place, by: now, limit: Self.pageLimit))
            guard let last = page.last, let due = last.dueAt else { break }
            place = SchedulePlace(at: due, key: last.key)
            if let other = try await fire(page.filter { configuration.serves($0.key.namespace) }, now, &lines) {
                pause = min(other, pause ?? other)
            }
        }
        let next = try await store.schedules(.due(after: .behind(now), by: .distantFuture, limit: 1)).first?.dueAt
        guard let wake = [next, pause.map { clock.now() + $0 }].compactMap({ $0 }).min() else {
            return scheduler.switchOff(schedules.alarm)
        }
        scheduler.set(schedules.alarm, at: wake) { [schedules] in schedules.bell.ring() }
    }

    /// - Returns: when to look again, if somebody else was faster with one of them, who may have left something and died, or one is
    ///   refused.
    private func fire(
        _ rows: [ScheduleRow], _ now: Timestamp, _ lines: inout StartLines
    ) async throws(StoreError) -> Duration? {
        if rows.isEmpty { return nil }
        let restoration = try await store.restoration()
        // What was due may have been started in what is lost: that is said in the runs first.
        if restoration?.isStanding == true { return .seconds(1) }
        let hosted = try await hostedAnywhere()
        var left = rows, taken: [ScheduleKey: [Timestamp: RunID]] = [:], pause: Duration?
        var troubles: [ScheduleKey: StartTrouble] = [:], single: Set<ScheduleKey> = []
        for attempt in 0...Self.tries {
            var turns: [(row: ScheduleRow, turn: ScheduleTurn, change: ScheduleChange)] = []
            // Whoever was due earliest and has not started is the first to take what a quota leaves.
            let documents = left.compactMap { row in read(row).map { (row, $0) } }.sorted { $0.1.cursor < $1.1.cursor }
            for (row, document) in documents {
                if Task.isCancelled { return pause }
                var turn = ScheduleTurn(document, key: row.key, now: now)
                turn.taken = taken[row.key] ?? [:]
                // As far as it is known which due times have runs, nothing is in the way any more.
                turn.startsNothing = attempt == Self.tries
                // Whoever has waited for room takes what there is: others that are due later want no more than one.
                if single.contains(row.key) || document.trouble != nil { turn.startLimit = 1 }
                turn.closed = try await store.closed(document.open + turn.taken.map { .init(run: $0.value, due: $0.key) })
                let change = change(of: row, &turn, document, hosted, troubles[row.key], &lines, after: restoration)
                turns.append((row, turn, change))
            }
            if turns.isEmpty { return pause }
            let results = try await store.commit(turns.map { .schedule($0.change) })
            left = []
            for ((row, turn, change), result) in zip(turns, results) {
                switch result {
                case .scheduled: fired(turn, change)
                case .keyTaken(let holder):
                    guard turn.starts.contains(where: { row.key.workflowKey(of: $0.due) == holder.key }) else { continue }
                    taken[row.key, default: [:]].merge(try await runs(of: turn, row)) { $1 }
                    left.append(row)
                case .refused(.conflict), .refused(.mayHaveBegun): pause = .seconds(1)
                case .refused(.queueUnknown(let name)):
                    troubles[row.key] = StartTrouble(queueUnknown: name)
                    left.append(row)
                case .refused(.quotaExceeded(let refusal)):
                    // For one of them there may be room.
                    if turn.starts.count == 1 { troubles[row.key] = lines.begin(refusal) } else { single.insert(row.key) }
                    left.append(row)
                default:
                    pause = pause ?? .seconds(60)
                    logger.error(
                        "the store refuses what a schedule starts",
                        metadata: ["schedule": "\(row.key.id)", "answer": "\(result)"])
                }
            }
            if left.isEmpty { return pause }
        }
        return .seconds(1)
    }

    /// The runs that due times have which the turn would start, and those behind them that a backfill comes to.
    private func runs(of turn: ScheduleTurn, _ row: ScheduleRow) async throws(StoreError) -> [Timestamp: RunID] {
        guard let document = read(row) else { return [:] }
        var found: [Timestamp: RunID] = [:]
        for due in Set(turn.starts.map(\.due)).union(document.backfillTimes(besides: turn.taken, atMost: Self.lookAhead)) {
            let holder = try await store.run(
                namespace: row.key.namespace, workflow: document.schedule.workflow, key: row.key.workflowKey(of: due))
            found[due] = holder?.id
        }
        return found
    }

    private func change(
        of row: ScheduleRow, _ turn: inout ScheduleTurn, _ document: ScheduleDocument, _ hosted: [ClaimRequest.Hosted],
        _ known: StartTrouble?, _ lines: inout StartLines, after restoration: Restoration?
    ) -> ScheduleChange {
        turn.run()
        let version = document.version(hosted: hosted)
        var trouble: StartTrouble?
        if !turn.starts.isEmpty {
            trouble =
                if version == nil {
                    StartTrouble(
                        "No living node hosts workflow '\(document.schedule.workflow)', and the schedule names no version.")
                } else {
                    known ?? lines.place(in: row.key.namespace)
                }
        }
        if let trouble {
            // Nothing is decided: the due times come again when there is somebody, or something.
            var waiting = document
            waiting.trouble = trouble.text
            waiting.due = turn.now + trouble.pause
            turn = ScheduleTurn(waiting, key: row.key, now: turn.now)
        } else if !turn.starts.isEmpty {
            turn.document.lastVersion = version
        }
        let starts = turn.starts.map { start in
            NewRun(
                start, of: turn.document, version: version ?? "", row.key, build: build, node: node, now: turn.now,
                lostPart: restoration?.lostPart(ofWhatWasDue: start.due, now: turn.now), random: configuration.random)
        }
        let cancels = turn.cancels.map { open in
            // Once for each run, however many due times want its place.
            Delivery(to: open.run, id: "cancel:schedule:\(row.key.id)", kind: .cancel, sender: document.actor)
        }
        return ScheduleChange(
            row.key, on: row.version, to: turn.document.row(row.key, version: row.nextVersion), starts: starts,
            deliveries: cancels)
    }

    private func fired(_ turn: ScheduleTurn, _ change: ScheduleChange) {
        schedules.note(turn.document.isHeldUp ? turn.document.open.map(\.run) : [], for: change.key)
        if !change.starts.isEmpty {
            metrics.started.increment(by: change.starts.count)
            logger.debug(
                "a schedule has started runs", metadata: ["schedule": "\(change.key.id)", "runs": "\(change.starts.count)"])
        }
        if !change.starts.isEmpty || !change.deliveries.isEmpty { bell.ring() }
        if CommitItem.schedule(change).beginsInQueue {
            admissions.noteQueue()
            admissions.bell.ring()
        }
        if let due = turn.document.due, due <= turn.now { schedules.bell.ring() }
    }

    /// What this release cannot follow is left to others, and said once.
    private func read(_ row: ScheduleRow) -> ScheduleDocument? {
        do {
            let document = try ScheduleDocument(row)
            return document
        } catch {
            if schedules.tell(row) {
                logger.error(
                    "a schedule cannot be followed here", metadata: ["schedule": "\(row.key.id)", "error": "\(error)"])
            }
            return nil
        }
    }

    private func hostedAnywhere() async throws(StoreError) -> [ClaimRequest.Hosted] {
        let own = registry.all.map { ClaimRequest.Hosted(workflow: $0.name, version: $0.version.description) }
        return own + (try await store.livingNodes().flatMap(\.hosted))
    }
}

extension Restoration {
    /// A run that was due before the history was recovered may have been started in what is lost.
    fileprivate func lostPart(ofWhatWasDue due: Timestamp, now: Timestamp) -> LostPart? {
        guard let liftedAt, let liftedBy, due <= liftedAt else { return nil }
        return LostPart(since: due, until: now, by: liftedBy)
    }
}

extension ScheduleDocument {
    /// Whether the end of an open run lets something start.
    var isHeldUp: Bool { !open.isEmpty && (!waiting.isEmpty || backfills.contains { !$0.overlaps || isCrowded }) }
}

extension Set<ScheduleKey> {
    fileprivate func asyncRows(from store: any Store) async throws(StoreError) -> [ScheduleRow] {
        var rows: [ScheduleRow] = []
        for key in sorted() { rows += try await store.schedules(.one(key)) }
        return rows
    }
}
