import PerdureStore
import Synchronization

/// Who wants to know that another process has written into a store.
final class Bells: Sendable {
    private struct Watch {
        let store: String
        let process: Int
        let ring: @Sendable () -> Void
    }

    private struct State {
        var watches: [Int: Watch] = [:]
        var last = 0
    }

    private let state = Mutex(State())

    func add(_ store: String, _ process: SimulatedProcess, _ ring: @escaping @Sendable () -> Void) -> OutsideWatch {
        let number = state.withLock { state in
            state.last += 1
            state.watches[state.last] = Watch(store: store, process: process.number, ring: ring)
            return state.last
        }
        return OutsideWatch { [self] in end(number) }
    }

    /// Tells every other process.
    func ring(_ store: String, by process: SimulatedProcess) {
        let watches = state.withLock { state in state.watches.sorted { $0.key < $1.key }.map(\.value) }
        for watch in watches where watch.store == store && watch.process != process.number { watch.ring() }
    }

    /// A dead process is not told any more.
    func forget(_ process: Int) {
        state.withLock { state in state.watches = state.watches.filter { $0.value.process != process } }
    }

    private func end(_ number: Int) { state.withLock { $0.watches[number] = nil } }
}
