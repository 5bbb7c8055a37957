internal import PerdureHistory
internal import PerdureStore

/// A node, as others know it.
struct MemoryNode: Sendable {
    var registration: NodeRegistration
    /// When it registered.
    let since: Timestamp
    var endedAt: Timestamp?
    var lease: MemoryLease?
    /// The runs that it owns, those of one workflow and version together, the oldest first.
    var owned = OrderedIndex<OwnedRun>()
    /// The unread messages of these.
    var arrivals = OrderedIndex<Arrival>()

    var id: NodeID { registration.id }
}

/// What keeps a node alive where several share a store.
struct MemoryLease: Sendable {
    let length: Duration
    /// On the database's clock.
    var until: Timestamp
    /// How often it was renewed: two looks at the same number show that it was not renewed in between.
    var renewals: Int64 = 0
}

struct OwnedRun: Hashable, Comparable, Sendable {
    let work: Int
    let since: Timestamp
    let run: Int64

    static func < (left: OwnedRun, right: OwnedRun) -> Bool {
        (left.work, left.since, left.run) < (right.work, right.since, right.run)
    }
}

/// An unread message of a run that is owned.
struct Arrival: Hashable, Comparable, Sendable {
    let number: Int64
    let run: Int64

    static func < (left: Arrival, right: Arrival) -> Bool { left.number < right.number }
}
