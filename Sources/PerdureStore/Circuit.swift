import Perdure
package import PerdureHistory

/// Whose circuit it is: a resource, under the name by which steps name it, of the engines with one namespace.
package struct CircuitKey: Sendable, Hashable, Comparable {
    package var namespace: String
    package var resource: String

    package init(namespace: String, resource: String) {
        self.namespace = namespace
        self.resource = resource
    }

    package static func < (left: CircuitKey, right: CircuitKey) -> Bool {
        // By bytes, as databases do it.
        if left.namespace != right.namespace { return left.namespace.utf8.lexicographicallyPrecedes(right.namespace.utf8) }
        return left.resource.utf8.lexicographicallyPrecedes(right.resource.utf8)
    }

    /// Why no store can keep it; `nil` if one can.
    package var flaw: String? {
        guard Name.isIdentifier(namespace) else { return "a namespace's name is no identifier" }
        guard Name.isKey(resource) else { return "the name of a resource has 1 to 256 bytes and no control characters" }
        return nil
    }
}

/// A circuit that is open, as all nodes see it. One that is closed has no row.
package struct CircuitRow: Sendable, Hashable {
    package var key: CircuitKey
    /// Of its own for each change, so that a change can name what it stands on: never used again, also not after the row was removed.
    package var stamp: Int64
    /// Nobody else turns to the resource before that time: the end of the pause, or of the leave of the one who tries it.
    package var until: Timestamp
    /// What the pause is that an attempt which fails doubles.
    package var pause: Duration
    /// Who tries the resource; `nil` while nobody does.
    package var prober: NodeID?
    /// When this was written, by the writer's idea of the store's clock. No wait that comes of it is longer than from here to `until`,
    /// whatever a clock is set to.
    package var changedAt: Timestamp

    package init(
        _ key: CircuitKey, stamp: Int64, until: Timestamp, pause: Duration, prober: NodeID? = nil, changedAt: Timestamp
    ) {
        self.key = key
        self.stamp = stamp
        self.until = until
        self.pause = pause
        self.prober = prober
        self.changedAt = changedAt
    }
}

/// A change of a circuit: of several that stand on the same stamp one is made.
package struct CircuitChange: Sendable, Hashable {
    package var key: CircuitKey
    /// The stamp that it stands on; `nil` if there must be no row yet.
    package var expected: Int64?
    /// What stands there afterwards; `nil` if nothing does: the circuit is closed.
    package var row: CircuitRow?

    package init(_ key: CircuitKey, on expected: Int64?, to row: CircuitRow?) {
        self.key = key
        self.expected = expected
        self.row = row
    }

    /// What keeps any store from it, whatever stands there.
    package var flaw: String? {
        if let flaw = key.flaw { return flaw }
        guard let row else { return nil }
        guard row.key == key, row.stamp != expected, row.pause.microseconds > 0 else {
            return "a circuit keeps its name, its stamp changes, and its pause has a length"
        }
        return nil
    }

    /// Whether it may be made on top of what stands there; `nil` if it was made before, and its answer got lost.
    package func isOpen(on current: CircuitRow?) -> Bool? {
        if current?.stamp == row?.stamp { return nil }
        return current?.stamp == expected
    }
}

/// What has become of a change of a circuit.
package enum CircuitAnswer: Sendable, Hashable {
    /// It stands there, now or since before.
    case made
    /// Somebody else was faster, and this stands there; `nil` if nothing does.
    case refused(CircuitRow?)
}
