import Perdure
import PerdureHistory
import PerdureStore

/// What a schedule does at one time: due times are decided, and what follows is listed. A pure value: it asks no store and no clock.
struct ScheduleTurn {
    /// A run that is to begin.
    struct Start: Hashable {
        enum Cause: Hashable {
            case time
            case backfill(by: Principal)
            case trigger(by: Principal)
        }

        let run: RunID
        let due: Timestamp
        let cause: Cause
    }

    let key: ScheduleKey
    let now: Timestamp
    /// Those of the open runs that have ended.
    var closed: Set<RunID> = []
    /// Due times that have a run already, and which.
    var taken: [Timestamp: RunID] = [:]
    /// Only what is known to have a run already is decided.
    var startsNothing = false
    /// How many runs one commit may start.
    var startLimit = 10
    var document: ScheduleDocument
    private(set) var starts: [Start] = []
    /// Runs that are to be cancelled, and the due time for whose sake.
    private(set) var cancels: [ScheduleDocument.Open] = []
    private var isUnfinished = false

    /// How many due times are looked at for one commit.
    private static let lookLimit = 1_000, missLimit: Int64 = 2_000
    /// How many runs are remembered where they do not matter for what is started.
    private static let allowedLimit = 10

    init(_ document: ScheduleDocument, key: ScheduleKey, now: Timestamp) {
        self.document = document
        self.key = key
        self.now = now
    }

    /// Decides all that is due, or as much of it as one commit should hold.
    mutating func run() {
        document.trouble = nil
        if document.pause == nil {
            document.open.removeAll { closed.contains($0.run) }
            startWaiting()
            passMissed()
            meetDue()
            goThroughBackfills()
        }
        setDue()
    }

    /// Starts a run at once, for a person.
    ///
    /// - Parameter run: Its id: that of a due time would be the same for two people at one moment.
    mutating func trigger(by person: Principal, as run: RunID) {
        document.open.removeAll { closed.contains($0.run) }
        start(now, .trigger(by: person), as: run)
        setDue()
    }

    /// Sets when somebody has to look next.
    mutating func setDue() {
        guard document.pause == nil else {
            document.due = nil
            return
        }
        let schedule = document.schedule
        var due = schedule.spec.next(after: document.cursor).map { schedule.fireTime(of: $0, key) }
        if isUnfinished { due = now }
        if isWaiting {
            document.vainLooks = starts.isEmpty && cancels.isEmpty ? document.vainLooks + 1 : 0
            let pause = Duration.seconds(min(60, 1 << min(document.vainLooks, 6)))
            due = min(due ?? .distantFuture, now + pause)
        } else {
            document.vainLooks = 0
            if !document.backfills.isEmpty { due = now }
        }
        document.due = due
    }

    /// Whether something is to start that the end of an open run has to come before.
    private var isWaiting: Bool {
        document.isHeldUp
    }

    // MARK: Due times

    /// Due times whose runs could not have begun in time any more, many of them at once.
    private mutating func passMissed() {
        let schedule = document.schedule
        let (count, last) = schedule.spec.count(
            after: document.cursor, before: now - schedule.catchUp - schedule.jitter, atMost: Self.missLimit)
        guard count > 0 else { return }
        document.counts.missed += count
        document.cursor = last
        if count == Self.missLimit { isUnfinished = true }
    }

    private mutating func meetDue() {
        if isUnfinished { return }
        let schedule = document.schedule
        var looked = 0
        while let due = schedule.spec.next(after: document.cursor) {
            let time = schedule.fireTime(of: due, key)
            guard time <= now else { return }
            guard looked < Self.lookLimit, starts.count < startLimit, !startsNothing || taken[due] != nil else {
                isUnfinished = true
                return
            }
            looked += 1
            document.cursor = due
            if now.duration(since: time) > schedule.catchUp { document.counts.missed += 1 } else { meet(due) }
        }
    }

    private mutating func meet(_ due: Timestamp) {
        // A backfill was faster.
        if document.open.contains(where: { $0.due == due }) { return }
        let isFree = document.open.isEmpty && document.waiting.isEmpty
        switch document.schedule.overlap {
        case .allow: start(due, .time)
        case _ where isFree: start(due, .time)
        case .skip: document.counts.skipped += 1
        case .queue:
            if document.waiting.count < Schedule.queueLimit {
                document.waiting.append(due)
            } else {
                document.counts.skipped += 1
            }
        case .cancelOther:
            document.counts.skipped += Int64(document.waiting.count)
            document.waiting = [due]
            cancels = document.open.map { .init(run: $0.run, due: due) }
        }
    }

    private mutating func startWaiting() {
        while document.open.isEmpty, let due = document.waiting.first {
            if startsNothing, taken[due] == nil {
                isUnfinished = true
                return
            }
            document.waiting.removeFirst()
            start(due, .time)
        }
    }

    private mutating func goThroughBackfills() {
        while let backfill = document.backfills.first {
            guard let due = document.schedule.spec.next(after: backfill.cursor), due <= backfill.end else {
                document.backfills.removeFirst()
                continue
            }
            guard starts.count < startLimit, !startsNothing || taken[due] != nil else {
                isUnfinished = true
                return
            }
            if document.isCrowded { return }
            if !backfill.overlaps, !document.open.isEmpty || !document.waiting.isEmpty { return }
            document.backfills[0].cursor = due
            if taken[due] == nil { start(due, .backfill(by: backfill.by)) }
        }
    }

    private mutating func start(_ due: Timestamp, _ cause: Start.Cause, as given: RunID? = nil) {
        let run = taken[due] ?? given ?? .scheduled(by: key, workflow: document.schedule.workflow, due: due)
        if taken[due] == nil {
            starts.append(Start(run: run, due: due, cause: cause))
            document.counts.started += 1
        }
        document.last = .init(run: run, due: due)
        if closed.contains(run) { return }
        document.open.append(.init(run: run, due: due))
        if document.schedule.overlap == .allow, document.open.count > Self.allowedLimit, document.backfills.allSatisfy(\.overlaps)
        {
            document.open.removeFirst()
        }
    }
}

extension ScheduleDocument {
    /// Whether so many of its runs are open that backfills wait.
    var isCrowded: Bool { open.count >= Schedule.queueLimit }

    /// The due times that the first backfill comes to next, besides those that are known to have runs.
    func backfillTimes(besides known: [Timestamp: RunID], atMost limit: Int) -> [Timestamp] {
        guard let backfill = backfills.first else { return [] }
        var times: [Timestamp] = [], last = backfill.cursor
        while times.count < limit, let due = schedule.spec.next(after: last), due <= backfill.end {
            if known[due] == nil { times.append(due) }
            last = due
        }
        return times
    }
}

extension Schedule {
    /// When the run of a due time starts: the jitter is a part of the digest of its name, less than the way to the next due time.
    func fireTime(of due: Timestamp, _ key: ScheduleKey) -> Timestamp {
        guard jitter > .zero else { return due }
        let room = spec.next(after: due).map { $0.duration(since: due) } ?? jitter
        let most = min(jitter, room - .microseconds(1)).microseconds
        guard most > 0 else { return due }
        let name = "perdure.schedule.jitter.1\n\(key.namespace)\n\(key.id)\n\(due.microseconds)"
        let number = SaltedDigest.plain(Array(name.utf8)).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return due + .microseconds(Int64(number % (UInt64(most) + 1)))
    }
}

extension ScheduleKey {
    /// The workflow key of the run that a due time starts.
    func workflowKey(of due: Timestamp) -> String { "schedule:\(id):\(due)" }
}

extension ScheduleSpec {
    /// How many due times there are after one moment and before another, and the last of those that were counted.
    func count(after start: Timestamp, before end: Timestamp, atMost limit: Int64) -> (count: Int64, last: Timestamp) {
        var count: Int64 = 0, last = start
        if case .every(let length, _) = rule, let first = next(after: start), first < end {
            let rest = (Int128(end.microseconds) - 1 - Int128(first.microseconds)) / Int128(length)
            return (Int64(clamping: min(rest + 1, 1 << 60)), first + .microseconds(Int64(clamping: rest * Int128(length))))
        }
        while count < limit, let next = next(after: last), next < end {
            count += 1
            last = next
        }
        return (count, last)
    }
}
