import DequeModule
import Dispatch
import Foundation
import Synchronization

/// A few operating system threads of the engine's own, on which runs are drained, first in, first out; or a queue that stands for them.
///
/// Workflow code is synchronous between its waits and may be slow there. On threads of its own it delays other runs at
/// worst, never the cooperative pool that the process's other tasks share. The stack is large because authors recurse.
package final class EngineThreads: Sendable {
    package typealias Work = @Sendable () -> Void

    package static let stackSize = 4 << 20

    private enum Carrier {
        // The threads hold only this, so that dropping the pool can end them.
        case threads(WorkQueue, count: Int)
        case turns(TurnWork)
    }

    private let carrier: Carrier

    /// - Parameters:
    ///   - count: How many threads; at least one.
    ///   - name: Shown by debuggers, followed by the number of the thread. The kernel keeps 15 bytes of it.
    ///   - between: Called on a thread after each of its work items; `true` if nothing is left to do and the other threads have nothing
    ///     to do either. What it submits is then started on this thread.
    ///   - guest: Asked before that, on the same thread: code of others that the thread is lent to for as long as it takes. Stopping does
    ///     not wait for it, and a thread that comes back later than that runs nothing more.
    ///   - runtime: Without threads there is no pool: the queue does the work, and there are no guests.
    package init(
        count: Int, name: String = "perdure", runtime: EngineRuntime = .threads,
        between: @escaping @Sendable (_ isIdle: Bool) -> Void = { _ in },
        guest: @escaping @Sendable () -> Work? = { nil }
    ) {
        precondition(count > 0, "an engine needs a thread")
        switch runtime {
        case .threads:
            let shared = WorkQueue(threads: count, between: between, guest: guest)
            carrier = .threads(shared, count: count)
            for number in 1...count { Self.start("\(name)-\(number)", on: shared) }
        case .turns(let queue):
            carrier = .turns(TurnWork(queue: queue, between: between))
        }
    }

    private static func start(_ name: String, on shared: WorkQueue) {
        let isNamed = DispatchSemaphore(value: 0)
        shared.running.enter()
        let thread = Thread {
            isNamed.wait()
            if shared.work() { shared.running.leave() }
        }
        thread.stackSize = stackSize
        thread.start()
        // On Linux a name is lost if it is set before the thread has been started, also from inside of the thread.
        thread.name = name
        isNamed.signal()
    }

    deinit { close() }

    /// Hands over `work`, to start when a thread is free and everything submitted before has been started.
    ///
    /// - Returns: `false` if the pool was stopped; `work` is then dropped.
    @discardableResult
    package func submit(_ work: @escaping Work) -> Bool {
        switch carrier {
        case .threads(let shared, _): shared.add(work)
        case .turns(let turns): turns.add(work)
        }
    }

    private func close() {
        switch carrier {
        case .threads(let shared, let count): shared.close(threads: count)
        case .turns(let turns): turns.isClosed.store(true, ordering: .relaxed)
        }
    }

    /// Waits until every thread has ended its current work item, but not for threads that are lent to a guest. Items not started yet are
    /// dropped: a run whose turn is lost is as it is stored and is found again. May be called again. Not from a thread of the pool.
    @available(*, noasync, message: "await stop() instead, it does not block a thread")
    package func stop() {
        close()
        guard case .threads(let shared, _) = carrier else { return }
        precondition(!shared.isOwnThread, "a thread of the pool cannot wait for itself")
        shared.running.wait()
    }

    /// The same without blocking a thread. Cancellation does not shorten it.
    package func stop() async {
        close()
        guard case .threads(let shared, _) = carrier else { return }
        await withCheckedContinuation { continuation in
            shared.running.notify(queue: .global()) { continuation.resume() }
        }
    }
}

/// Stands for a pool where a queue does the work.
private final class TurnWork: Sendable {
    private let queue: any TurnQueue
    private let between: @Sendable (Bool) -> Void
    let isClosed = Atomic<Bool>(false)

    init(queue: any TurnQueue, between: @escaping @Sendable (Bool) -> Void) {
        self.queue = queue
        self.between = between
    }

    func add(_ work: @escaping EngineThreads.Work) -> Bool {
        if isClosed.load(ordering: .relaxed) { return false }
        queue.submit { [self] in
            if isClosed.load(ordering: .relaxed) { return }
            work()
            between(false)
        }
        return true
    }
}

/// What the threads of one pool share.
private final class WorkQueue: Sendable {
    private struct State {
        var items = Deque<EngineThreads.Work>()
        var threads: [UInt] = []
        var isClosed = false
        /// How many threads are not waiting for an item.
        var busy = 0
        /// The thread that is between two items while all others rest; 0 if there is none. What it adds it does itself.
        var lastAwake: UInt = 0
        /// How many items it has added, for which nobody was woken.
        var kept = 0
    }

    /// What a thread does after an item.
    private enum Next {
        case item(EngineThreads.Work)
        case rest
        /// It was lent, and nobody waits for it any more.
        case leave
    }

    private let threads: Int
    private let between: @Sendable (Bool) -> Void
    private let guest: @Sendable () -> EngineThreads.Work?
    /// The threads that stopping waits for.
    let running = DispatchGroup()
    private let state = Mutex(State())
    /// Counts one for each item, and one for each thread once closed.
    private let available = DispatchSemaphore(value: 0)

    init(
        threads: Int, between: @escaping @Sendable (Bool) -> Void, guest: @escaping @Sendable () -> EngineThreads.Work?
    ) {
        self.threads = threads
        self.between = between
        self.guest = guest
    }

    var isOwnThread: Bool {
        state.withLock { $0.threads.contains(ThreadIdentity.current) }
    }

    func add(_ item: @escaping EngineThreads.Work) -> Bool {
        let (isAdded, wakes) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.items.append(item)
            guard state.lastAwake != 0, state.lastAwake == ThreadIdentity.current else { return (true, true) }
            state.kept += 1
            return (true, false)
        }
        if wakes { available.signal() }
        return isAdded
    }

    /// The life of a thread: works until the queue is closed. Returns whether it is still one of those that are waited for.
    func work() -> Bool {
        state.withLock { $0.threads.append(ThreadIdentity.current) }
        defer { state.withLock { $0.threads.removeAll { $0 == ThreadIdentity.current } } }
        while var item = waitForItem() {
            item()
            pauses: while true {
                switch pause() {
                case .item(let next):
                    item = next
                    item()
                case .rest: break pauses
                case .leave: return false
                }
            }
        }
        return true
    }

    /// Code of others may keep the thread for ever. Meanwhile it is not one of those that are waited for. Returns whether it is again.
    private func lend(to guest: EngineThreads.Work) -> Bool {
        running.leave()
        guest()
        return state.withLock { state in
            if state.isClosed { return false }
            running.enter()
            return true
        }
    }

    private func waitForItem() -> EngineThreads.Work? {
        available.wait()
        return state.withLock { state in
            state.busy += 1
            return state.items.popFirst()
        }
    }

    /// Between two items. A thread that is the only one awake goes on with what comes of the pause, without a hop to another.
    private func pause() -> Next {
        let isIdle = state.withLock { state in
            // With one thread nobody would be left to run code while this one waits for the disk.
            guard threads > 1, state.busy == 1, state.items.isEmpty, !state.isClosed else { return false }
            state.lastAwake = ThreadIdentity.current
            return true
        }
        if let guest = guest(), !lend(to: guest) { return .leave }
        between(isIdle)
        let (item, others) = state.withLock { state -> (EngineThreads.Work?, Int) in
            var kept = 0
            if isIdle { (kept, state.kept, state.lastAwake) = (state.kept, 0, 0) }
            guard kept > 0, let item = state.items.popFirst() else {
                state.busy -= 1
                return (nil, 0)
            }
            return (item, kept - 1)
        }
        for _ in 0..<others { available.signal() }
        return item.map(Next.item) ?? .rest
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
