import DequeModule

/// Operations of one kind that are not over, or what belongs to them, by the number under which the code asked for them.
///
/// A dictionary would hash for every look and, for a change in place, move the whole operation out and in again; and this is done
/// several times for every event. Here an operation stays where it is until it is over. A run may ask for millions of operations one
/// after the other beside one that lasts: for each of those only a small number is kept.
struct OperationTable<Operation> {
    private static var none: Int32 { -1 }
    private static var slotsKept: Int { 8 }

    /// Where the operations from number `first` on lie in `slots`.
    private var places: Deque<Int32> = []
    private var first = 0
    private var slots: [Operation?] = []
    private var free: [Int32] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    // Inlined, or every change would allocate a frame for the accessor. Lent out of a span: an array gives out copies, and most of what
    // is asked is one of many fields.
    subscript(id: OperationID) -> Operation? {
        @inline(__always) _read {
            if let place = place(of: id) { yield slots.span[place] } else { yield nil }
        }
        @inline(__always) _modify {
            if let place = place(of: id) {
                defer { if isEmpty(place) { forget(id, at: place) } }
                yield &slots[place]
            } else {
                var added: Operation?
                defer { if let operation = added.take() { add(operation, as: id) } }
                yield &added
            }
        }
    }

    mutating func removeValue(forKey id: OperationID) -> Operation? {
        guard let place = place(of: id) else { return nil }
        defer { forget(id, at: place) }
        return slots[place].take()
    }

    /// The identities, in the order in which the code asked.
    var keys: [OperationID] {
        places.indices.compactMap { places[$0] == Self.none ? nil : OperationID(number: first + $0) }
    }

    /// The operations, in the order in which the code asked.
    var values: [Operation] { places.compactMap { $0 == Self.none ? nil : slots[Int($0)] } }

    @inline(__always) private func isEmpty(_ place: Int) -> Bool {
        if case nil = slots.span[place] { true } else { false }
    }

    @inline(__always) private func place(of id: OperationID) -> Int? {
        let index = id.number - first
        guard index >= 0, index < places.count, places[index] != Self.none else { return nil }
        return Int(places[index])
    }

    private mutating func add(_ operation: consuming Operation, as id: OperationID) {
        if places.isEmpty { first = id.number }
        while id.number < first {
            places.prepend(Self.none)
            first -= 1
        }
        while id.number >= first + places.count { places.append(Self.none) }
        if let place = free.popLast() {
            slots[Int(place)] = operation
            places[id.number - first] = place
        } else {
            places[id.number - first] = Int32(slots.count)
            slots.append(operation)
        }
        count += 1
    }

    private mutating func forget(_ id: OperationID, at place: Int) {
        slots[place] = nil
        places[id.number - first] = Self.none
        free.append(Int32(place))
        count -= 1
        while places.first == Self.none {
            places.removeFirst()
            first += 1
        }
        while places.last == Self.none { places.removeLast() }
        // The next operation finds its slot; what a crowd has needed is given back.
        if count == 0, slots.count > Self.slotsKept { (slots, free) = ([], []) }
    }
}

extension OperationTable: Sequence {
    func makeIterator() -> some IteratorProtocol<(key: OperationID, value: Operation)> {
        zip(keys, values).lazy.map { (key: $0, value: $1) }.makeIterator()
    }
}

extension OperationTable: Sendable where Operation: Sendable {}
