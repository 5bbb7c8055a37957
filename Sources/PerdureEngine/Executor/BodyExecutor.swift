import Dispatch
import Synchronization

/// Where bodies of steps run: on the threads of the process's own queue, and now and then, for as long as it does not wait, on the engine
/// thread that has started it, once that is done with the run.
///
/// A step that is alone spends most of its time on its way from one sleeping thread to another. So one body at a time may begin where it
/// was started. Its run is not held up meanwhile: messages to it and its times go on, on the other engine threads. A body should not
/// compute or block for long there: after one that did, none begins on an engine thread for a while.
package final class BodyExecutor: TaskExecutor {
    /// How long a body may hold up an engine thread before the next ones are kept away, in nanoseconds; and how long they are.
    private static let patience: UInt64 = 1_000_000, rest: UInt64 = 10_000_000_000

    private struct Kept {
        let thread: UInt
        let job: UnownedJob
    }

    /// The thread that is starting the body to be kept; `taken` from then until it waits or ends, 0 otherwise.
    private let host = Atomic<UInt>(0)
    private static let taken: UInt = .max
    private let kept = Mutex<Kept?>(nil)
    /// Not before this time, in nanoseconds of the process's clock.
    private let restsUntil = Atomic<UInt64>(0)
    private let lends: Bool
    private let runtime: EngineRuntime
    private let now: @Sendable () -> UInt64

    /// - Parameters:
    ///   - lends: Whether engine threads may be used at all. With only one of them nobody would be left to run workflow code.
    ///   - runtime: Without threads bodies are not run here: they belong to the queue.
    package init(
        lends: Bool, runtime: EngineRuntime = .threads,
        now: @escaping @Sendable () -> UInt64 = { DispatchTime.now().uptimeNanoseconds }
    ) {
        self.lends = lends && runtime.hasThreads
        self.runtime = runtime
        self.now = now
    }

    /// Starts a task, or keeps it for this thread if that is allowed now. Only for threads that call `runKept` in a moment.
    ///
    /// - Parameter label: Says to people which body it is.
    package func start(
        _ label: @autoclosure () -> String = "", _ body: @escaping @Sendable () async -> Void
    ) -> Task<Void, Never> {
        if case .turns(let queue) = runtime { return queue.startBody(label(), body) }
        if lends, now() >= restsUntil.load(ordering: .relaxed) {
            _ = host.compareExchange(expected: 0, desired: ThreadIdentity.current, ordering: .acquiring)
        }
        return Task.detached(executorPreference: self) { await body() }
    }

    /// Whether a body is kept for this thread.
    package var hasKept: Bool {
        host.load(ordering: .relaxed) == Self.taken && kept.withLock { $0?.thread == ThreadIdentity.current }
    }

    /// Begins what is kept for this thread, and returns when it waits or ends.
    package func runKept() {
        let job = kept.withLock { kept -> UnownedJob? in
            guard kept?.thread == ThreadIdentity.current else { return nil }
            defer { kept = nil }
            return kept?.job
        }
        guard let job else { return }
        let begin = now()
        job.runSynchronously(on: asUnownedTaskExecutor())
        let end = now()
        if end > begin + Self.patience { restsUntil.store(end + Self.rest, ordering: .relaxed) }
        host.store(0, ordering: .releasing)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job), executor = asUnownedTaskExecutor(), thread = ThreadIdentity.current
        // Only the first job of the task that is being started: what it starts itself goes elsewhere.
        if host.compareExchange(expected: thread, desired: Self.taken, ordering: .relaxed).exchanged {
            kept.withLock { $0 = Kept(thread: thread, job: job) }
        } else {
            DispatchQueue.global().async { job.runSynchronously(on: executor) }
        }
    }
}
