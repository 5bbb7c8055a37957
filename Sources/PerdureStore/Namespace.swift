package import Perdure
package import PerdureHistory

/// How long the runs of a namespace stay once they have closed.
package struct RetentionTerms: Sendable, Hashable {
    /// For how long a history stays; nil for ever.
    package var closedAfter: Duration?
    /// For how long a tombstone stays; nil for ever.
    package var removedAfter: Duration?
    /// No run expires before its history is in an archive.
    package var archives: Bool

    package init(closedAfter: Duration? = nil, removedAfter: Duration? = nil, archives: Bool = false) {
        self.closedAfter = closedAfter
        self.removedAfter = removedAfter
        self.archives = archives
    }

    /// What holds where what was set cannot be read: nothing goes.
    package static let everything = RetentionTerms(archives: true)

    /// - Throws: If the numbers cannot have been set.
    package init(closedAfter: Int64?, removedAfter: Int64?, archives: Bool) throws(BadRow) {
        guard closedAfter ?? 0 >= 0, removedAfter ?? 0 >= 0 else { throw BadRow("what is kept has a negative length") }
        self.init(
            closedAfter: closedAfter.map { .microseconds($0) }, removedAfter: removedAfter.map { .microseconds($0) },
            archives: archives)
    }
}

/// What was set for a namespace. One without a row has nothing set, and the configuration of each engine holds.
package struct NamespaceRow: Sendable, Hashable {
    package var name: String
    /// Grows with each change.
    package var version: Int64
    package var terms: RetentionTerms
    package var changedBy: Principal
    package var changedAt: Timestamp

    package init(name: String, version: Int64, terms: RetentionTerms, changedBy: Principal, changedAt: Timestamp) {
        self.name = name
        self.version = version
        self.terms = terms
        self.changedBy = changedBy
        self.changedAt = changedAt
    }

    /// The version of what is put in its place.
    package var nextVersion: Int64 { version == .max ? version : version + 1 }
}

/// A change of what is set for a namespace: of several that stand on the same version one is applied.
package struct NamespaceChange: Sendable, Hashable {
    package var name: String
    /// The version that it stands on; nil if there must be no row yet.
    package var expected: Int64?
    /// What stands there afterwards, with a greater version; nil if nothing does.
    package var row: NamespaceRow?

    package init(_ name: String, on expected: Int64?, to row: NamespaceRow?) {
        self.name = name
        self.expected = expected
        self.row = row
    }

    /// What keeps any store from it, whatever stands there.
    package var flaw: String? {
        guard Name.isIdentifier(name) else { return "a namespace's name is no identifier" }
        guard let row else { return nil }
        guard row.name == name, row.version > expected ?? 0 else { return "a namespace keeps its name, and its version grows" }
        return nil
    }

    /// Whether it may be applied to what stands there; nil if it was applied before, and its answer got lost.
    package func isOpen(on current: NamespaceRow?) -> Bool? {
        if current == row { return nil }
        return current?.version == expected
    }
}
