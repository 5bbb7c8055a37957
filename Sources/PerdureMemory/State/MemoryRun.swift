internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// A run with everything that hangs on it.
struct MemoryRun: Sendable {
    var record: RunRecord
    /// Whose work it is: that of the hosts of its workflow and version.
    var work: Int
    /// When it came into its state.
    var since: Timestamp
    var needsRetry = false
    /// The place that it wanted in its queue, and when it is late there.
    var place: QueuePlace?
    var deadline: Timestamp?
    /// The builds that it is blocked for, sorted.
    var blockedBuilds: [ByteText] = []
    /// Its history without gaps. Of an expired run the beginning is missing.
    var events: [Event] = []
    var unread: [InboxRow] = []
    /// The numbers of messages that it has read.
    var read: Set<Int64> = []
    /// Every message that was ever taken in, by its delivery id.
    var deliveries: [ByteText: KnownDelivery] = [:]
    /// Since when there is an unread message that wakes it for its hosts, and one that needs no code.
    var hostAt: Timestamp?
    var anyoneAt: Timestamp?
    /// The seq of the latest event of each kind and subject that is marked.
    var marks: [Mark: Int64] = [:]
    var requests: [Request] = []
    var labels: [ByteText: ByteText] = [:]
    /// By subject, the step before its undo.
    var heartbeats: [HeartbeatRecord] = []
    /// The business keys that it waits for, sorted.
    var waits: [KeyWait] = []
    /// Whether it has expired and something of its history is still to be removed.
    var hasLeftovers = false
    /// What was noted of its archive.
    var archive: ArchivedHistory?
    /// Whether its tombstone was removed. Its number is not used again.
    var isGone = false

    struct Mark: Hashable {
        let kind: EventKind
        let subject: ByteText
    }

    /// An approval or question that is open.
    struct Request: Hashable {
        let position: Int64
        let seq: Int64
        let kind: EventKind
        let subject: ByteText
    }

    struct KeyWait: Hashable, Comparable {
        let subject: ByteText
        /// The index of the key.
        let key: Int

        static func < (left: KeyWait, right: KeyWait) -> Bool { (left.subject, left.key) < (right.subject, right.key) }
    }

    var head: ChainHead? { events.last.map(ChainHead.init(after:)) }

    /// Where in `events` the event of this seq stands.
    func place(of seq: Int64) -> Int? {
        guard let first = events.first?.seq, seq >= first, seq - first < events.count else { return nil }
        return Int(seq - first)
    }

    func hash(of seq: Int64) -> EventHash? { place(of: seq).map { events[$0].hash } }

    func wake(by kind: InboxKind, name: String) -> Wake {
        record.state.wake(by: kind, name: name, needsRetry: needsRetry, isAdmitted: record.isAdmitted)
    }

    /// Where it waits, and where it has a place: from its admission to its end, whatever it does in between.
    var waiting: Waiting? {
        guard record.state == .queued, let queue = record.queue, let place, !isGone else { return nil }
        return Waiting(queue: Int(queue) - 1, key: ByteText(place.key), priority: place.priority)
    }
    var holding: Holding? {
        guard record.isAdmitted, !record.state.isFinal, record.state != .quarantined, let queue = record.queue, let place, !isGone
        else { return nil }
        return Holding(queue: Int(queue) - 1, key: ByteText(place.key))
    }

    /// Has the run found because of a message.
    mutating func addWake(_ wake: Wake, at: Timestamp) {
        switch wake {
        case .nobody: break
        case .host: hostAt = min(hostAt ?? at, at)
        case .anyone: anyoneAt = min(anyoneAt ?? at, at)
        }
    }

    /// After the run's state has changed, or messages were read: other messages may count now.
    mutating func renewWake() {
        (hostAt, anyoneAt) = (nil, nil)
        for row in unread { addWake(wake(by: row.delivery.kind, name: row.delivery.name), at: row.at) }
    }

    /// Where in `unread` the first message behind this number stands: they are in the order of their numbers.
    func unreadPlace(after number: Int64) -> Int {
        var low = 0, high = unread.count
        while low < high {
            let middle = (low + high) / 2
            if unread[middle].number <= number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether the run is blocked for this build.
    func isBlocked(for build: ByteText) -> Bool { blockedBuilds.contains(build) }
}
