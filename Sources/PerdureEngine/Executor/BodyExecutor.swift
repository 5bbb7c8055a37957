import Dispatch
import Synchronization

/// Where bodies of steps run: on the threads of the process's own queue, and now and then, for as long as it does not wait, on the engine
/// thread that starts it.
///
/// A step that is alone spends most of its time on its way from one sleeping thread to another. So one body at a time may begin where it
/// is started. A body should not compute or block for long there: after one that did, none begins on an engine thread for a while.
package final class BodyExecutor: TaskExecutor {
    /// How long a body may hold up an engine thread before the next ones are kept away.
    private static let patience: UInt64 = 1_000_000
    private static let rest: UInt64 = 10_000_000_000

    /// The thread whose next job begins at once; `taken` while one does.
    private let host = Atomic<UInt>(0)
    private static let taken: UInt = .max
    /// Not before this time, in nanoseconds of the process's clock.
    private let restsUntil = Atomic<UInt64>(0)
    private let lends: Bool
    private let now: @Sendable () -> UInt64

    /// - Parameter lends: Whether engine threads may be used at all. With only one of them nobody would be left to run workflow code.
    package init(lends: Bool, now: @escaping @Sendable () -> UInt64 = { DispatchTime.now().uptimeNanoseconds }) {
        self.lends = lends
        self.now = now
    }

    /// Starts a task, on this thread if that is allowed now. Only for engine threads, which have nothing else to do until it waits.
    package func start(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        let begin = now()
        guard lends, begin >= restsUntil.load(ordering: .relaxed),
            host.compareExchange(expected: 0, desired: ThreadIdentity.current, ordering: .acquiring).exchanged
        else { return Task.detached(executorPreference: self) { await body() } }
        let task = Task.detached(executorPreference: self) { await body() }
        host.store(0, ordering: .releasing)
        let end = now()
        if end > begin + Self.patience { restsUntil.store(end + Self.rest, ordering: .relaxed) }
        return task
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job), executor = asUnownedTaskExecutor()
        // Only the first job of the task that is being started: what it starts itself goes elsewhere.
        if host.compareExchange(expected: ThreadIdentity.current, desired: Self.taken, ordering: .relaxed).exchanged {
            job.runSynchronously(on: executor)
        } else {
            DispatchQueue.global().async { job.runSynchronously(on: executor) }
        }
    }
}
