/// The members of a JSON object, always sorted by the UTF-16 code units of their keys, as RFC 8785 wants them written.
///
/// Keys are the same only if their code units are: `é` in one scalar and `é` in two are different members, although Swift
/// calls the strings equal.
package struct JSONObject: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        package let key: String
        package var value: JSONValue
    }

    package private(set) var members: [Member] = []

    package init() {}

    /// An object of the given members; of several with the same key the last wins.
    package init(_ pairs: some Sequence<(String, JSONValue)>) {
        self.init(unsorted: pairs.map { Member(key: $0.0, value: $0.1) })
    }

    init(unsorted: [Member]) {
        members = unsorted
        guard !Self.isSorted(members) else { return }
        // Stable, so that of equal keys the last given is the last in its group.
        let order = members.indices.sorted { left, right in
            switch Self.compare(members[left].key, members[right].key) {
            case 0: left < right
            case let result: result < 0
            }
        }
        var sorted: [Member] = []
        sorted.reserveCapacity(order.count)
        for index in order {
            if let last = sorted.last, Self.compare(last.key, members[index].key) == 0 {
                sorted.removeLast()
            }
            sorted.append(members[index])
        }
        members = sorted
    }

    package var isEmpty: Bool { members.isEmpty }
    package var count: Int { members.count }
    package var keys: [String] { members.map(\.key) }

    /// The member's value; setting nil removes it, setting `.null` writes a JSON null.
    package subscript(key: String) -> JSONValue? {
        get {
            let (index, found) = position(of: key)
            return found ? members[index].value : nil
        }
        set {
            let (index, found) = position(of: key)
            switch (newValue, found) {
            case (let value?, true): members[index].value = value
            case (let value?, false): members.insert(Member(key: key, value: value), at: index)
            case (nil, true): members.remove(at: index)
            case (nil, false): break
            }
        }
    }

    private func position(of key: String) -> (index: Int, found: Bool) {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            switch Self.compare(members[middle].key, key) {
            case 0: return (middle, true)
            case let result where result < 0: low = middle + 1
            default: high = middle
            }
        }
        return (low, false)
    }

    private static func isSorted(_ members: [Member]) -> Bool {
        for index in members.indices.dropFirst() where compare(members[index - 1].key, members[index].key) >= 0 {
            return false
        }
        return true
    }
}

extension JSONObject {
    /// Order of two keys by UTF-16 code units: negative, zero or positive.
    static func compare(_ left: String, _ right: String) -> Int {
        let fast = left.utf8.withContiguousStorageIfAvailable { first in
            right.utf8.withContiguousStorageIfAvailable { second in compare(first, second) }
        }
        return (fast ?? nil)
            ?? Array(left.utf8).withUnsafeBufferPointer { first in
                Array(right.utf8).withUnsafeBufferPointer { second in compare(first, second) }
            }
    }

    private static func compare(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        for index in 0..<min(left.count, right.count) where left[index] != right[index] {
            return Int(utf16Rank(left[index])) - Int(utf16Rank(right[index]))
        }
        return left.count - right.count
    }

    /// UTF-8 bytes order like UTF-16 code units but for one thing: the lead bytes of U+E000...U+FFFF (EE, EF) come before those
    /// of the planes above (F0...F4), whose surrogates are smaller code units.
    private static func utf16Rank(_ byte: UInt8) -> UInt8 {
        byte == 0xEE || byte == 0xEF ? byte + 0x10 : byte
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements)
    }
}
