internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    func nodeIndex(of id: NodeID) -> Int? { nodes.firstIndex { $0.id == id } }

    func isLiving(_ id: NodeID) -> Bool { nodeIndex(of: id).map { nodes[$0].endedAt == nil } ?? false }

    func standings(now: Timestamp) -> [NodeStanding] {
        nodes.filter { $0.endedAt == nil }.map { node in
            NodeStanding(
                registration: node.registration, since: node.since, ownedRuns: node.owned.count,
                renewedAt: node.lease.map { $0.until - $0.length },
                isOverdue: node.lease.map { Sightings.Lease.isOver(until: $0.until, length: $0.length, now: now) } ?? false)
        }
    }

    /// Registers a node that replaces every other one: whoever asks has proved that they are dead.
    mutating func register(alone node: NodeRegistration, now: Timestamp) {
        for index in nodes.indices where nodes[index].id != node.id { end(index, now: now) }
        forgetIdle()
        if let index = nodeIndex(of: node.id) {
            nodes[index].registration.hosted = node.hosted
            nodes[index].registration.verifies = node.verifies
            nodes[index].endedAt = nil
        } else {
            nodes.append(MemoryNode(registration: node, since: now))
        }
        hasNews = true
    }

    /// Registers a node beside others, under a lease.
    mutating func register(_ node: NodeRegistration, lease length: Duration, now: Timestamp) throws(StoreError) {
        let lease = MemoryLease(length: length, until: now + length)
        if let index = nodeIndex(of: node.id) {
            // Of an ended node others may have taken runs over: it cannot be the same one again.
            guard nodes[index].endedAt == nil else { throw .leaseLost }
            nodes[index].registration.hosted = node.hosted
            nodes[index].registration.verifies = node.verifies
            try renew(node.id, now: now)
        } else {
            nodes.append(MemoryNode(registration: node, since: now, lease: lease))
        }
        forgetIdle()
        hasNews = true
    }

    mutating func unregister(_ id: NodeID, now: Timestamp) {
        if let index = nodeIndex(of: id) { end(index, now: now) }
        forgetIdle()
        hasNews = true
    }

    private mutating func end(_ index: Int, now: Timestamp) {
        if nodes[index].endedAt == nil { nodes[index].endedAt = now }
    }

    /// Runs that an ended node still owns stay takeable: it is remembered as ended.
    mutating func forgetIdle() { nodes.removeAll { $0.endedAt != nil && $0.owned.isEmpty } }

    // MARK: Leases

    mutating func renew(_ id: NodeID, now: Timestamp) throws(StoreError) {
        guard let index = nodeIndex(of: id), nodes[index].endedAt == nil else { throw .leaseLost }
        guard let lease = nodes[index].lease else { return }
        nodes[index].lease?.until = now + lease.length
        nodes[index].lease?.renewals += 1
    }

    /// Ends the nodes whose leases are over and that this process has seen unrenewed for long enough. A node that renews in between has
    /// another number and lives.
    ///
    /// - Parameter here: the time on the process's own clock.
    mutating func endLapsed(
        besides own: NodeID, length: Duration, seen sightings: inout Sightings, now: Timestamp, here: Timestamp
    ) -> [NodeID] {
        let leases = nodes.filter { $0.endedAt == nil && $0.id != own }.compactMap { node in
            node.lease.map {
                Sightings.Lease(node: node.id, renewals: $0.renewals, until: $0.until, length: $0.length, now: now)
            }
        }
        let ended = sightings.look(at: leases, length: length, here: here)
        for id in ended { if let index = nodeIndex(of: id) { end(index, now: now) } }
        if !ended.isEmpty {
            forgetIdle()
            hasNews = true
        }
        return ended
    }
}
