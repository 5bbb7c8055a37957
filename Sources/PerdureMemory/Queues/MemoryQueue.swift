internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// A queue, with those who wait in it and how many places are taken.
struct MemoryQueue: Sendable {
    let name: QueueKey
    private(set) var limits: QueueLimits
    private(set) var changedBy: Principal
    private(set) var changedAt: Timestamp
    /// When the next run would be due if all were admitted evenly.
    var slot = Timestamp(microseconds: 0)
    /// How many turns there have been.
    private(set) var turn: Int64 = 0
    /// Those under which somebody waits or has a place.
    private(set) var keys: [ByteText: Key] = [:]
    /// Of these the ones that may have a turn, in their order.
    private(set) var turns = OrderedIndex<Turn>()
    private(set) var held = 0

    struct Key: Sendable {
        var line = OrderedIndex<LinePlace>()
        var held = 0
        /// The turn that it had last, or that was the last one when it came.
        var turn: Int64
    }

    struct Turn: Hashable, Comparable, Sendable {
        let turn: Int64
        let key: ByteText

        static func < (left: Turn, right: Turn) -> Bool { (left.turn, left.key) < (right.turn, right.key) }
    }

    init(_ name: QueueKey, _ limits: QueueLimits, by sender: Principal, at: Timestamp) {
        self.name = name
        self.limits = limits
        (changedBy, changedAt) = (sender, at)
    }

    /// The same without anybody in it.
    var bare: MemoryQueue { MemoryQueue(name, limits, by: changedBy, at: changedAt) }

    /// Returns whether that changed anything.
    mutating func set(_ limits: QueueLimits, by sender: Principal, at: Timestamp) -> Bool {
        guard limits != self.limits else { return false }
        self.limits = limits
        (changedBy, changedAt) = (sender, at)
        turns = OrderedIndex()
        for (key, entry) in keys where mayHaveTurn(entry) { turns.insert(Turn(turn: entry.turn, key: key)) }
        return true
    }

    func mayHaveTurn(_ key: Key) -> Bool { !key.line.isEmpty && limits.perKey.map { key.held < $0 } ?? true }

    mutating func enter(_ run: Int64, _ place: Waiting) {
        change(place.key) { $0.line.insert(LinePlace(priority: place.priority, run: run)) }
    }

    mutating func leave(_ run: Int64, _ place: Waiting) {
        change(place.key) { $0.line.remove(LinePlace(priority: place.priority, run: run)) }
    }

    mutating func hold(_ key: ByteText, _ count: Int) {
        held += count
        change(key) { $0.held += count }
    }

    /// The key's turn is over: it goes behind all others.
    mutating func pass(_ key: ByteText) {
        turn += 1
        let turn = turn
        if keys[key] != nil { change(key) { $0.turn = turn } }
    }

    private mutating func change(_ key: ByteText, _ body: (inout Key) -> Void) {
        var entry = keys[key] ?? Key(turn: turn)
        if mayHaveTurn(entry) { turns.remove(Turn(turn: entry.turn, key: key)) }
        let wasEmpty = entry.line.isEmpty
        body(&entry)
        // Whoever begins to wait goes behind those who do.
        if wasEmpty, !entry.line.isEmpty {
            turn += 1
            entry.turn = turn
        }
        keys[key] = entry.line.isEmpty && entry.held == 0 ? nil : entry
        if mayHaveTurn(entry) { turns.insert(Turn(turn: entry.turn, key: key)) }
    }
}

/// A place in the line of a key: the highest priority first, then the oldest run.
struct LinePlace: Hashable, Comparable, Sendable {
    let priority: Int
    let run: Int64

    static func < (left: LinePlace, right: LinePlace) -> Bool {
        left.priority == right.priority ? left.run < right.run : left.priority > right.priority
    }
}

/// Where a run waits.
struct Waiting: Hashable, Sendable {
    let queue: Int
    let key: ByteText
    let priority: Int
}

/// Where a run has a place.
struct Holding: Hashable, Sendable {
    let queue: Int
    let key: ByteText
}
