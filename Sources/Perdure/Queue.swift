/// The place that a run takes in a queue: which queue it waits in, on whose account, and how urgently.
///
/// A run with a place does not begin before the queue admits it. Keys take turns, whoever has more runs waiting; of one key the run with
/// the highest priority goes first, and of those the oldest.
public struct QueuePlace: Sendable, Hashable {
    /// The priorities that there are.
    public static let priorities = 0...9

    /// The queue's name, an identifier. Queues belong to a namespace.
    public let name: String
    /// On whose account it waits, for instance a tenant's: at most 256 bytes without control characters. Runs without one share the empty
    /// key. Compared in Unicode's NFC form.
    public let key: String
    /// 0 to 9, the highest first, among the runs of the same key only.
    public let priority: Int

    /// A priority outside its range is moved to its nearest end.
    public init(_ name: String, key: String = "", priority: Int = 5) {
        self.name = name
        self.key = Name.normalized(key)
        self.priority = min(max(priority, Self.priorities.lowerBound), Self.priorities.upperBound)
    }

    /// Why no queue can have such a place; `nil` if one can.
    package var flaw: String? {
        guard Name.isIdentifier(name) else {
            return "'\(name)' is no name of a queue: it has 1 to 128 letters, digits, '_', '-' and '.'"
        }
        guard key.isEmpty || Name.isKey(key) else {
            return "the key of a place in a queue has at most 256 bytes and no control characters"
        }
        return nil
    }
}

/// How many runs of a queue may be under way, and how fast they begin.
///
/// A run counts from its admission to its end, whatever it does in between: also while it waits, is parked, blocked or paused.
public struct QueueLimits: Sendable, Hashable {
    /// The most runs that are admitted at once, over all nodes. 0 closes the queue: those that are admitted go on, and no other is.
    public var concurrency: Int { didSet { concurrency = max(concurrency, 0) } }
    /// The most runs of one key that are admitted at once; at least 1. `nil` means without limit. Default: `nil`.
    public var perKey: Int? { didSet { perKey = perKey.map { max($0, 1) } } }
    /// The most admissions in a time. `nil` means without limit. Default: `nil`.
    public var rate: Rate?

    /// Values outside a property's range are moved to its nearest end, here and when they are set later.
    public init(concurrency: Int, perKey: Int? = nil, rate: Rate? = nil) {
        self.concurrency = max(concurrency, 0)
        self.perKey = perKey.map { max($0, 1) }
        self.rate = rate
    }
}
