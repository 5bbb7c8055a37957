internal import DequeModule
internal import Synchronization

/// Items that wait to be sent: at most so many, and so many bytes. Whoever offers one never waits.
final class BatchQueue: Sendable {
    private enum Need { case one, batch }

    private struct State {
        var items: Deque<[UInt8]> = []
        var bytes = 0
        var isFinished = false
        /// The only one who takes.
        var waiter: (need: Need, continuation: CheckedContinuation<Void, Never>)?
    }

    private let limits: OTLPConfiguration
    private let state = Mutex(State())

    init(_ limits: OTLPConfiguration) { self.limits = limits }

    enum Room { case some, none, ended }

    /// Whether an item can have room: one that cannot need not be written first.
    var room: Room {
        state.withLock { state in
            if state.isFinished { return .ended }
            return state.items.count < limits.queueItems && state.bytes < limits.queueBytes ? .some : .none
        }
    }

    /// - Returns: Whether it was taken: there was room, and more is to come.
    func offer(_ item: [UInt8]) -> Bool {
        let (isTaken, waiter) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard !state.isFinished, state.items.count < limits.queueItems, state.bytes + item.count <= limits.queueBytes else {
                return (false, nil)
            }
            state.items.append(item)
            state.bytes += item.count
            return (true, release(&state))
        }
        waiter?.resume()
        return isTaken
    }

    /// Nothing is taken in any more; what is there goes without waiting for more.
    func finish() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.isFinished = true
            return release(&state)
        }
        waiter?.resume()
    }

    /// Removes everything, and says how much it was.
    func empty() -> Int {
        state.withLock { state in
            defer { (state.items, state.bytes) = ([], 0) }
            return state.items.count
        }
    }

    /// The next batch: full, or what has come in the time that an item waits for others. Nil behind the last one, and for a task that is
    /// cancelled.
    func next(sleep: @escaping @Sendable (Duration) async throws -> Void) async -> [[UInt8]]? {
        await wait(for: .one)
        await withTaskGroup { group in
            group.addTask { [self] in await wait(for: .batch) }
            group.addTask { [limits] in try? await sleep(limits.delay) }
            await group.next()
            group.cancelAll()
        }
        return Task.isCancelled ? nil : take()
    }

    private func take() -> [[UInt8]]? {
        state.withLock { state in
            var batch: [[UInt8]] = [], bytes = 0
            while let item = state.items.first, batch.count < limits.batchItems,
                batch.isEmpty || bytes + item.count <= limits.batchBytes
            {
                batch.append(state.items.removeFirst())
                bytes += item.count
            }
            state.bytes -= bytes
            return batch.isEmpty && state.isFinished ? nil : batch
        }
    }

    private func isMet(_ need: Need, _ state: State) -> Bool {
        if state.isFinished { return true }
        return switch need {
        case .one: !state.items.isEmpty
        case .batch: state.items.count >= limits.batchItems || state.bytes >= limits.batchBytes
        }
    }

    private func release(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        guard let waiter = state.waiter, isMet(waiter.need, state) else { return nil }
        state.waiter = nil
        return waiter.continuation
    }

    private func wait(for need: Need) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    // Cancelled before it waits, it would not be told.
                    if Task.isCancelled || isMet(need, state) { return true }
                    state.waiter = (need, continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiter.take() }?.continuation.resume()
        }
    }
}
