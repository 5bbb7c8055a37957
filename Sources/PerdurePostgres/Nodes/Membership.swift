internal import PerdureHistory
internal import PerdureStore

/// The node of this process, and what it has seen of others.
struct Membership: Sendable {
    var node: NodeID?
    var sightings = Sightings()
}

/// What a process has seen of the leases of other nodes.
struct Sightings: Sendable {
    private var nodes: [Sighting] = []
    /// When it has looked last, on its own clock.
    private var lastLook: Timestamp?

    private struct Sighting: Sendable {
        let node: NodeID
        let renewals: Int64
        /// For how long it was seen not to renew.
        let unrenewed: Duration
    }

    /// Notes what is seen of the leases, and tells which have not been renewed for their whole length as this process has seen it on its own
    /// clock: a clock that jumps ahead, the server's or its own, ends nobody. Of the time between two looks half a lease counts at most: what
    /// kept the process from looking may have kept others from renewing.
    ///
    /// - Parameter here: the time on the process's own clock.
    mutating func look(at leases: [Lease], length: Duration, here: Timestamp) -> [Lease] {
        let pause = lastLook.map { max(.zero, here.duration(since: $0)) } ?? .zero
        var seen: [Sighting] = [], lapsed: [Lease] = []
        for lease in leases {
            let last = nodes.first { $0.node == lease.node && $0.renewals == lease.renewals }
            let unrenewed = last.map { $0.unrenewed + min(pause, length / 2) } ?? .zero
            if lease.isOver, unrenewed >= length { lapsed.append(lease) }
            seen.append(Sighting(node: lease.node, renewals: lease.renewals, unrenewed: unrenewed))
        }
        nodes = seen
        lastLook = here
        return lapsed
    }
}

/// A node's lease as the store has it.
struct Lease: Sendable {
    let node: NodeID
    /// How often it was renewed: two looks at the same number show that it was not renewed in between.
    let renewals: Int64
    /// Whether it is over on the store's clock.
    let isOver: Bool
}
