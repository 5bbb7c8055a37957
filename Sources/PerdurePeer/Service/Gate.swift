import Synchronization

/// A gate that callers wait at until it is opened. Opening it lets through everyone who took a ticket before.
///
/// The ticket closes the gap between "I am going to wait" and waiting: an opening in between is not missed.
final class Gate: Sendable {
    /// The right to pass at the next opening after it was taken.
    struct Ticket: Sendable {
        fileprivate let opening: Int
    }

    private struct State: ~Copyable {
        var openings = 0
        var lastWaiter = 0
        var waiting: [Int: CheckedContinuation<Bool, Never>] = [:]
    }

    private let state = Mutex(State())

    /// A ticket for the next opening.
    func ticket() -> Ticket {
        state.withLock { Ticket(opening: $0.openings) }
    }

    /// How many wait now.
    var waiting: Int {
        state.withLock { $0.waiting.count }
    }

    /// Lets through everyone who has a ticket.
    func open() {
        let released = state.withLock { state in
            state.openings += 1
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for continuation in released { continuation.resume(returning: true) }
    }

    /// Waits until the gate is opened once after the ticket was taken.
    ///
    /// - Parameter onWaiting: Called once the caller waits, or is let through at once.
    /// - Throws: `CancellationError` if the task is cancelled first.
    func pass(_ ticket: Ticket, onWaiting: () -> Void = {}) async throws {
        let waiter = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        let passed = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let decided: Bool? = state.withLock { state in
                    if state.openings > ticket.opening { return true }
                    // Checked under the lock: a cancellation that comes later finds the continuation.
                    if Task.isCancelled { return false }
                    state.waiting[waiter] = continuation
                    return nil
                }
                onWaiting()
                if let decided { continuation.resume(returning: decided) }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: waiter) }?.resume(returning: false)
        }
        if !passed { throw CancellationError() }
    }
}
