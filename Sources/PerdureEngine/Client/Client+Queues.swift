public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore

/// A queue as it stands.
public struct QueueInfo: Sendable, Hashable {
    /// Its name in its namespace.
    public let name: String
    /// The tenant it belongs to.
    public let namespace: String
    /// How many of its runs may be under way, and how fast they begin.
    public let limits: QueueLimits
    /// How many runs wait for their turn. Those that are paused are not among them.
    public let waiting: Int
    /// How many keys they wait under.
    public let waitingKeys: Int
    /// Who holds a place: runs that were admitted and have not ended, by the state that they are in (`RunInfo.state`).
    public let holders: [String: Int]
    /// Who set its limits last.
    public let changedBy: Principal
    /// When that was.
    public let changedAt: Date

    /// How many places are taken. More than the limit as long as runs have places that were admitted before it was lowered.
    public var held: Int { holders.values.reduce(0, +) }
    /// Places that only a person can free, or other code: their runs are parked, paused or blocked.
    public var stuck: Int { ["parked", "paused", "blocked"].reduce(0) { $0 + (holders[$1] ?? 0) } }
    /// Whether it admits nobody.
    public var isClosed: Bool { limits.concurrency == 0 }

    init(_ standing: QueueStanding) {
        name = standing.queue.name
        namespace = standing.queue.namespace
        limits = standing.limits
        waiting = standing.waiting
        waitingKeys = standing.waitingKeys
        holders = Dictionary(standing.holders.map { ($0.key.rawValue, $0.value) }) { $0 + $1 }
        changedBy = standing.changedBy
        changedAt = standing.changedAt.date
    }
}

extension Client {
    /// Makes a queue, or changes its limits. Repeated with the same limits, it changes nothing: to be called at each start of a program.
    ///
    /// Where limits are lowered no run ends: fewer are admitted. A queue is never removed; one with `concurrency` 0 admits nobody.
    ///
    /// - Parameters:
    ///   - name: 1 to 128 letters, digits, `-`, `_` and `.`.
    ///   - namespace: The tenant whose runs wait in it. By default the one that the client is confined to, or `default`.
    ///   - sender: Recorded as who set the limits, if that changes them.
    /// - Throws: `PerdureError` with `name_invalid`, `usage` for limits that contradict each other, or `queue_needs_upgrade` if a node of a
    ///   release without queues still uses the store.
    public func setQueue(
        _ name: String, limits: QueueLimits, in namespace: String? = nil, by sender: Principal
    ) async throws {
        let namespace = namespace ?? ownNamespace
        try requireOwn(namespace)
        let queue = try Self.queue(name, namespace)
        if let perKey = limits.perKey, limits.concurrency > 0, perKey > limits.concurrency {
            throw PerdureError(
                .usage,
                "Of one key \(perKey) runs would be allowed, and \(limits.concurrency) of all: leave the limit of a key out, or raise "
                    + "the concurrency of queue '\(name)'.")
        }
        do {
            try await guarded { try await store.setQueue(queue, limits, by: sender) }
        } catch let error as PerdureError where error.code == .storeUnavailable {
            // It may have been done, and it does no harm to do it twice.
            try await guarded { try await store.setQueue(queue, limits, by: sender) }
        }
        onQueueChange()
    }

    /// The queues of a namespace, or of all, by name. It looks at every run that holds a place: meant for people and dashboards, not to be
    /// asked many times a second.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func queues(in namespace: String? = nil) async throws -> [QueueInfo] {
        try await guarded { try await store.queues(namespace: namespace) }.map(QueueInfo.init)
    }

    private static func queue(_ name: String, _ namespace: String) throws -> QueueKey {
        for text in [name, namespace] where !Name.isIdentifier(text) {
            throw PerdureError(
                .nameInvalid,
                "'\(text.prefix(200))' cannot be the name of a queue or a namespace: use 1 to 128 letters, digits, '-', '_' and '.'."
            )
        }
        return QueueKey(namespace: namespace, name: name)
    }

    /// - Throws: `PerdureError` with `queue_unknown`.
    func requireQueue(_ place: QueuePlace?, in namespace: String) async throws {
        guard let place else { return }
        let known = try await guarded { try await store.queues(namespace: namespace) }
        guard known.contains(where: { $0.queue.name == place.name }) else { throw PerdureError(queueUnknown: place.name) }
    }
}

extension CommitItem {
    /// Whether a run begins with it that waits in a queue.
    var beginsInQueue: Bool {
        switch self {
        case .create(let run): run.place != nil
        case .schedule(let change): change.starts.contains { $0.place != nil }
        case .advance, .deliver, .beat: false
        }
    }
}

extension PerdureError {
    init(queueUnknown name: String) {
        self.init(
            .queueUnknown,
            "There is no queue '\(name)' in this namespace. Nothing was started; make the queue with 'setQueue', or name another.",
            metadata: [("queue", name)])
    }
}

// MARK: - As JSON

extension QueuePlace {
    var json: JSONValue { ["name": .string(name), "key": .string(key), "priority": .integer(Int64(priority))] }

    /// What a run's first event, or a schedule, says.
    init?(_ value: JSONValue) {
        guard let name = value["name"]?.stringValue else { return nil }
        self.init(name, key: value["key"]?.stringValue ?? "", priority: Int(clamping: value["priority"]?.integerValue ?? 5))
    }
}
