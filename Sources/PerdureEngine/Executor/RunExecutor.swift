import Synchronization

/// Runs the workflow code of one run, one job at a time, on the thread that calls ``drain(_:)`` and nowhere else.
///
/// It is the preferred executor of the run's root task. Child tasks, `async let` and `@concurrent` functions inherit the
/// preference, so all of them stay here. An unstructured `Task { }` does not inherit it; a context notices that with
/// ``misuse(isolation:)``.
///
/// It is deliberately not a serial executor. Only one thread drains, so jobs never run beside each other anyway, and the
/// jobs of code that is isolated to nothing need no switch between each other: a call, a loop over a stream or a
/// continuation stays within one job in every build. With a serial executor they become many jobs, a different number in
/// debug and release builds.
///
/// The runtime keeps the executor alive as long as a task prefers it.
package final class RunExecutor: TaskExecutor {
    package typealias ForeignEnqueueHandler = @Sendable (RunExecutor) -> Void

    private struct State: ~Copyable {
        var queue = TaskFirstQueue<UnownedJob>()
        var sawForeignEnqueue = false
    }

    private let state = Mutex(State())
    /// The thread that drains, 0 if none does. Only a thread itself ever writes its own identity here, which makes the
    /// comparison with the running thread right without a lock.
    private let drainingThread = Atomic<UInt>(0)
    private let isRunningJobs = Atomic<Bool>(false)
    private let knowsTasks: Bool
    private let onForeignEnqueue: ForeignEnqueueHandler

    /// - Parameter onForeignEnqueue: Called each time a thread that is not draining this run enqueues a job: the code has
    ///   awaited something that is not recorded. It is called on that thread, from inside of whatever resumed the task, so
    ///   it should only note the fact and wake an engine thread. The job is kept for the next drain. It gets the executor
    ///   so that it need not hold it.
    package convenience init(onForeignEnqueue: @escaping ForeignEnqueueHandler = { _ in }) {
        self.init(knowsTasks: JobTaskIDs.areReliable, onForeignEnqueue: onForeignEnqueue)
    }

    /// - Parameter knowsTasks: `false` is the fallback for a runtime whose task ids cannot be used.
    init(knowsTasks: Bool, onForeignEnqueue: @escaping ForeignEnqueueHandler = { _ in }) {
        self.knowsTasks = knowsTasks
        self.onForeignEnqueue = onForeignEnqueue
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let task = knowsTasks ? taskID(of: job) : 0
        let isForeign = !isDrainingOnThisThread
        state.withLock {
            $0.queue.add(job, of: task)
            if isForeign { $0.sawForeignEnqueue = true }
        }
        if isForeign { onForeignEnqueue(self) }
    }

    /// Calls `before`, then runs jobs on this thread until none is left.
    ///
    /// Everything that wakes tasks of the run belongs in `before`: creating the root task, resuming continuations,
    /// cancelling. Tasks woken in it start in the order in which it woke them. Done anywhere else, it counts as foreign.
    ///
    /// The jobs of foreign enqueues run as well, or a task could never end; the engine asks ``takeForeignEnqueue()`` after
    /// every drain and lets nothing of it become durable if the answer is yes.
    package func drain(_ before: () -> Void = {}) {
        let (isFree, _) = drainingThread.compareExchange(
            expected: 0, desired: ThreadIdentity.current, ordering: .acquiring)
        precondition(isFree, "a run is drained by one thread at a time and not from inside of itself")
        before()
        isRunningJobs.store(true, ordering: .relaxed)
        while let job = takeNextOrRest() {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
        isRunningJobs.store(false, ordering: .relaxed)
        drainingThread.store(0, ordering: .releasing)
    }

    private func takeNextOrRest() -> UnownedJob? {
        state.withLock { state in
            if let job = state.queue.takeNext() { return job }
            state.queue.rest()
            return nil
        }
    }

    package var isDrainingOnThisThread: Bool {
        drainingThread.load(ordering: .relaxed) == ThreadIdentity.current
    }

    /// The identity of the task of this run that is running right now on this thread, `nil` anywhere else.
    ///
    /// A name in a scope belongs to the task that first used it. On a runtime without reliable ids this is the address of
    /// the task, which a later task may get again: then a second use of a name by another task can pass unnoticed, but
    /// never is one task taken for two.
    package var currentTaskID: UInt64? {
        guard isDrainingOnThisThread, isRunningJobs.load(ordering: .relaxed) else { return nil }
        return currentTaskIdentity(reliably: knowsTasks)
    }

    /// Whether a job was enqueued by a thread that was not draining this run since this was last asked.
    package func takeForeignEnqueue() -> Bool {
        state.withLock { state in
            defer { state.sawForeignEnqueue = false }
            return state.sawForeignEnqueue
        }
    }
}
