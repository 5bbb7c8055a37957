internal import PerdureHistory
internal import PerdureStore

/// The node of this process, and what it has seen of others.
struct Membership: Sendable {
    var node: NodeID?
    var sightings = Sightings()
}
