internal import Synchronization

/// Takes numbers in turn.
final class Turn: Sendable {
    private let last = Atomic<Int>(0)

    func next(below count: Int) -> Int { last.wrappingAdd(1, ordering: .relaxed).oldValue % count }
}
