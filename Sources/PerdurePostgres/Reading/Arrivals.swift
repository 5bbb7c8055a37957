internal import PerdureStore
internal import Synchronization

/// Which messages to the runs of this node it was told of.
///
/// Messages of one run become visible in the order of their numbers, since its row is locked while they are numbered. Those of different
/// runs do not: the transaction of a smaller number may end later. So whoever asks for what came behind a number is also told of smaller
/// ones that were not there before.
final class Arrivals: Sendable {
    private struct State {
        var node: NodeID?
        /// Told since the floor.
        var told: Set<Int64> = []
        /// No number up to this can appear any more.
        var floor: Int64 = 0
        /// The last number that was given out at each look, for as long as it may not have appeared.
        var looks: [(at: ContinuousClock.Instant, last: Int64)] = []
    }

    /// Longer than any transaction takes that numbers messages: the server ends those of which nothing is heard.
    private static let memory = Duration.seconds(60)
    /// So that a busy node does not keep one for every message.
    private static let betweenLooks = Duration.seconds(1)

    private let state = Mutex(State())

    /// From where the next look is at the least.
    func floor(for node: NodeID, after number: Int64) -> Int64 {
        state.withLock { $0.node == node ? min($0.floor, number) : number }
    }

    /// From where to look if what came behind `number` is asked for, and what was told behind that.
    ///
    /// - Parameter last: the last number that was given out before the look, to whatever run.
    func beginLook(
        for node: NodeID, after number: Int64, last: Int64, now: ContinuousClock.Instant = .now
    ) -> (floor: Int64, told: [Int64]) {
        state.withLock { state in
            if state.node != node { state = State(node: node, floor: number) }
            if state.looks.last.map({ now - $0.at > Self.betweenLooks }) ?? true { state.looks.append((now, last)) }
            let old = state.looks.prefix { now - $0.at > Self.memory }
            if let passed = old.last {
                state.looks.removeFirst(old.count)
                let floor = max(state.floor, passed.last)
                state.floor = floor
                state.told = state.told.filter { $0 > floor }
            }
            return (min(state.floor, number), Array(state.told))
        }
    }

    func note(_ rows: [InboxRow]) { state.withLock { $0.told.formUnion(rows.map(\.number)) } }
}
