import DequeModule
import Dispatch
import Foundation
import Synchronization

/// A few operating system threads of the engine's own, on which runs are drained, first in, first out.
///
/// Workflow code is synchronous between its waits and may be slow there. On threads of its own it delays other runs at
/// worst, never the cooperative pool that the process's other tasks share. The stack is large because authors recurse.
package final class EngineThreads: Sendable {
    package typealias Work = @Sendable () -> Void

    package static let stackSize = 4 << 20

    // The threads hold only this, so that dropping the pool can end them.
    private let shared: WorkQueue
    private let count: Int

    /// - Parameters:
    ///   - count: How many threads; at least one.
    ///   - name: Shown by debuggers, followed by the number of the thread. The kernel keeps 15 bytes of it.
    package init(count: Int, name: String = "perdure") {
        precondition(count > 0, "an engine needs a thread")
        self.count = count
        let shared = WorkQueue()
        self.shared = shared
        for number in 1...count { Self.start("\(name)-\(number)", on: shared) }
    }

    private static func start(_ name: String, on shared: WorkQueue) {
        let isNamed = DispatchSemaphore(value: 0)
        shared.running.enter()
        let thread = Thread {
            isNamed.wait()
            shared.work()
            shared.running.leave()
        }
        thread.stackSize = stackSize
        thread.start()
        // On Linux a name is lost if it is set before the thread has been started, also from inside of the thread.
        thread.name = name
        isNamed.signal()
    }

    deinit { shared.close(threads: count) }

    /// Hands over `work`, to start when a thread is free and everything submitted before has been started.
    ///
    /// - Returns: `false` if the pool was stopped; `work` is then dropped.
    @discardableResult
    package func submit(_ work: @escaping Work) -> Bool {
        shared.add(work)
    }

    /// Waits until every thread has ended its current work item. Items not started yet are dropped: a run whose turn is
    /// lost is as it is stored and is found again. May be called again. Not from a thread of the pool.
    @available(*, noasync, message: "await stop() instead, it does not block a thread")
    package func stop() {
        precondition(!shared.isOwnThread, "a thread of the pool cannot wait for itself")
        shared.close(threads: count)
        shared.running.wait()
    }

    /// Waits until every thread has ended its current work item, without blocking a thread. Cancellation does not shorten it.
    package func stop() async {
        shared.close(threads: count)
        await withCheckedContinuation { continuation in
            shared.running.notify(queue: .global()) { continuation.resume() }
        }
    }
}

/// What the threads of one pool share.
private final class WorkQueue: Sendable {
    private struct State {
        var items = Deque<EngineThreads.Work>()
        var threads: [UInt] = []
        var isClosed = false
    }

    let running = DispatchGroup()
    private let state = Mutex(State())
    /// Counts one for each item, and one for each thread once closed.
    private let available = DispatchSemaphore(value: 0)

    var isOwnThread: Bool {
        state.withLock { $0.threads.contains(ThreadIdentity.current) }
    }

    func add(_ item: @escaping EngineThreads.Work) -> Bool {
        let isAdded = state.withLock { state in
            if !state.isClosed { state.items.append(item) }
            return !state.isClosed
        }
        if isAdded { available.signal() }
        return isAdded
    }

    /// The life of a thread: works until the queue is closed.
    func work() {
        state.withLock { $0.threads.append(ThreadIdentity.current) }
        while let item = waitForItem() { item() }
        state.withLock { $0.threads.removeAll { $0 == ThreadIdentity.current } }
    }

    private func waitForItem() -> EngineThreads.Work? {
        available.wait()
        return state.withLock { $0.items.popFirst() }
    }

    func close(threads: Int) {
        // Dropped after unlocking: what an item has captured may run code when it goes.
        let dropped = state.withLock { state -> Deque<EngineThreads.Work>? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            defer { state.items = [] }
            return state.items
        }
        guard dropped != nil else { return }
        for _ in 0..<threads { available.signal() }
    }
}
