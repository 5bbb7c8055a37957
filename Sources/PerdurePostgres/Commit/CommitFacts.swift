internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What the items of a commit are decided by: read after the rows that they may change were locked, and kept up to date with what was
/// decided for the items before.
final class CommitFacts {
    /// The store's time.
    var now = Timestamp.epoch
    /// The restoration that stands: history went back, and nothing may be begun.
    var standing: Int64?
    /// The last restoration that was lifted.
    var lifted: Int64 = 0
    var isHeld: Bool { standing != nil }
    /// When history was recovered last. Known where runs are made.
    var lift: Restoration.Lift?
    /// The node of this process, if it counts as alive.
    var node: NodeID?
    var runs: [Int64: RunFacts] = [:]
    var numbers: [RunID: Int64] = [:]
    /// Who has which workflow key, of those that are asked for.
    var keyed: [WorkflowKey: RunRecord] = [:]
    /// The last run of each chain, by the run that began it.
    var chainEnds: [RunID: Int64] = [:]
    var knownDeliveries: [DeliveryPlace: KnownDelivery] = [:]
    /// The rows that are to be consumed: of which run, and whether they were already.
    var consumable: [Int64: (run: Int64, isConsumed: Bool)] = [:]
    var keys: [BusinessKey: KeyFacts] = [:]
    var schedules: [ScheduleKey: ScheduleRow] = [:]
    /// The numbers of the queues in which runs are to begin. They are never removed.
    var queues: [QueueKey: Int64] = [:]
    /// Of the namespaces in which somebody starts runs; held, so that nobody else starts any there meanwhile.
    var quotas: [String: QuotaUse] = [:]
    /// Those that were there before this commit.
    var storedSchedules: Set<ScheduleKey> = []
    /// Of the runs that are only appended to, those on which their advances do not stand.
    var shut: Set<Int64> = []
    /// Numbers for runs that are made.
    var freeNumbers = ArraySlice<Int64>()

    /// Runs are numbered in the order in which they are made.
    func nextNumber() -> Int64? { freeNumbers.popFirst() }

    func add(_ run: RunFacts) {
        let record = run.record
        runs[record.number] = run
        numbers[record.id] = record.number
        if let origin = record.origin, record.successor == nil { chainEnds[origin.run] = record.number }
    }
}

/// A run as far as commits have to know it.
struct RunFacts {
    var record: RunRecord
    var needsRetry: Bool
    /// Since when it is in its state.
    var since: Timestamp
    /// nil of a run without events, which is damaged.
    var head: ChainHead?
    /// What was decided to be appended by this commit.
    var appended: [Event] = []
    /// Of each kind of unread messages the smallest name and the oldest time; nil if nobody has asked. The empty name, if there is one, is
    /// the smallest: that is all the rule of wakes asks of it.
    var unread: [InboxKind: UnreadKind]?
    /// Whether something is delivered to it by this very commit.
    var hasNews = false
    /// Whether there is a row that says who may be woken.
    var hasWake = false
    /// Of a run that is given back before it was admitted.
    var place: PlaceFacts?

    func wake(by kind: InboxKind, name: String) -> Wake {
        record.state.wake(by: kind, name: name, needsRetry: needsRetry, isAdmitted: record.isAdmitted)
    }
}

struct UnreadKind {
    var name: String
    var at: Timestamp

    mutating func merge(_ other: UnreadKind) {
        name = min(name, other.name)
        at = min(at, other.at)
    }
}

struct WorkflowKey: Hashable {
    let namespace: String
    let workflow: String
    let key: String
}

/// Compared by its bytes, as the database does it: texts that look the same may differ.
struct DeliveryPlace: Hashable {
    let run: Int64
    private let bytes: [UInt8]

    init(run: Int64, id: String) {
        self.run = run
        bytes = Array(id.utf8)
    }

    var id: String { String(decoding: bytes, as: UTF8.self) }
}

/// A business key and who waits for it.
struct KeyFacts {
    /// nil of a key that nobody has taken before this commit.
    var number: Int64?
    var record: BusinessKeyRecord
    var waiters: [KeyWaiter] = []
    var isChanged = false
}

struct KeyWaiter {
    let run: RunID
    let subject: String
}

/// Another node was faster between two looks: nothing is written, and everything is looked at again.
struct Overtaken: Error {}

/// Items of one commit depend on each other in a way that only separate transactions tell.
struct Entangled: Error {}
