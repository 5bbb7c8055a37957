internal import Perdure
package import PerdureHistory

/// Names a row of what control keeps.
package struct ControlKey: Sendable, Hashable {
    /// What it is: records of requests, tokens, hooks … each have one of their own.
    package var kind: String
    package var key: String

    package init(_ kind: String, _ key: String) {
        self.kind = kind
        self.key = key
    }
}

/// What control keeps beside runs: records of requests, tokens, sessions, hooks. A store knows nothing of what a row means; it keeps it,
/// changes it only on top of what was seen, and finds it by its key or by when it is due.
package struct ControlRow: Sendable, Hashable {
    /// How long a value may be, in bytes.
    package static let mostBytes = 1 << 20
    /// How long a key may be, in bytes.
    package static let longestKey = 512

    package var key: ControlKey
    /// 1 for a row that is new, and one more with each change.
    package var revision: Int64
    package var value: [UInt8]
    /// When something is to be done about it, or it may go; nil for never.
    package var due: Timestamp?

    package init(_ key: ControlKey, revision: Int64, value: [UInt8], due: Timestamp?) {
        self.key = key
        self.revision = revision
        self.value = value
        self.due = due
    }
}

/// A change of one row: of several that stand on the same revision one is made.
///
/// A row that is made anew after it was removed begins at 1 again. Whoever has to tell that apart writes something of his own into it; so
/// does whoever has to know that a row is his and not another one's with the same content.
package struct ControlChange: Sendable, Hashable {
    package let key: ControlKey
    /// The revision that it stands on; nil if there must be no row.
    package let expected: Int64?
    /// What stands there afterwards; nil if nothing does.
    package let row: ControlRow?

    private init(_ key: ControlKey, _ expected: Int64?, _ row: ControlRow?) {
        self.key = key
        self.expected = expected
        self.row = row
    }

    package static func put(_ key: ControlKey, on expected: Int64?, value: [UInt8], due: Timestamp? = nil) -> ControlChange {
        ControlChange(key, expected, ControlRow(key, revision: (expected ?? 0) &+ 1, value: value, due: due))
    }

    package static func remove(_ key: ControlKey, on expected: Int64) -> ControlChange { ControlChange(key, expected, nil) }

    /// What keeps any store from it, whatever stands there.
    package var flaw: String? {
        if !Name.isIdentifier(key.kind) { return "its kind is no identifier" }
        if !(1...ControlRow.longestKey).contains(key.key.utf8.count) || key.key.utf8.contains(0) {
            return "its key has to have 1 to \(ControlRow.longestKey) bytes, and no NUL"
        }
        if let expected, expected < 1 || expected == .max { return "it stands on a revision that no row has" }
        if let row, row.value.count > ControlRow.mostBytes { return "its value has more than \(ControlRow.mostBytes) bytes" }
        return nil
    }

    /// Whether it may be made on what stands there; nil if it was made before, and its answer got lost.
    package func isOpen(on current: ControlRow?) -> Bool? {
        if current == row { return nil }
        return current?.revision == expected
    }
}

/// Which rows of one kind to list.
package enum ControlQuery: Sendable, Hashable {
    /// By their keys, as bytes; those behind a key.
    case all(kind: String, after: String?, limit: Int)
    /// Those that are due by a time, the earliest first.
    case due(kind: String, by: Timestamp, limit: Int)
}
