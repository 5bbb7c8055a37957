import Perdure
package import PerdureHistory

/// What a process has seen of the leases of other nodes, where nothing else proves who lives.
package struct Sightings: Sendable {
    /// A node's lease as the store has it.
    package struct Lease: Sendable {
        package let node: NodeID
        /// How often it was renewed: two looks at the same number show that it was not renewed in between.
        package let renewals: Int64
        /// Whether it is over on the store's clock.
        package let isOver: Bool

        /// - Parameters:
        ///   - end: When it ends.
        ///   - now: The time on the store's clock.
        package init(node: NodeID, renewals: Int64, until end: Timestamp, length: Duration, now: Timestamp) {
            self.node = node
            self.renewals = renewals
            isOver = Self.isOver(until: end, length: length, now: now)
        }

        /// One that ends later than one that begins now was begun by a clock that was ahead: it says nothing any more, and what is seen
        /// counts.
        package static func isOver(until end: Timestamp, length: Duration, now: Timestamp) -> Bool {
            end <= now || end > now + length
        }
    }

    private struct Sighting: Sendable {
        let node: NodeID
        let renewals: Int64
        /// For how long it was seen not to renew.
        let unrenewed: Duration
    }

    private var nodes: [Sighting] = []
    /// When it has looked last, on its own clock.
    private var lastLook: Timestamp?

    package init() {}

    /// Notes what is seen of the leases, and tells which have not been renewed for their whole length as this process has seen it on its
    /// own clock: a clock that jumps ahead, the store's or its own, ends nobody. After a pause of more than half a lease everything is seen
    /// anew: what kept this process from looking may have kept others from renewing, and they need time to come back as well.
    ///
    /// - Parameter here: The time on the process's own clock.
    package mutating func look(at leases: [Lease], length: Duration, here: Timestamp) -> [NodeID] {
        let pause = lastLook.map { max(.zero, here.duration(since: $0)) } ?? .zero
        if pause > length / 2 { nodes = [] }
        var seen: [Sighting] = [], lapsed: [NodeID] = []
        for lease in leases {
            let last = nodes.first { $0.node == lease.node && $0.renewals == lease.renewals }
            let unrenewed = last.map { $0.unrenewed + pause } ?? .zero
            if lease.isOver, unrenewed >= length { lapsed.append(lease.node) }
            seen.append(Sighting(node: lease.node, renewals: lease.renewals, unrenewed: unrenewed))
        }
        nodes = seen
        lastLook = here
        return lapsed
    }
}
