// The one private runtime symbol of the engine lives in this file. It says which task a job belongs to, which no public call
// does. Nothing depends on it for being right: if it ever misbehaves, runs fall back to first in, first out, and a task is
// told from another by its address.

import Synchronization

#if os(Linux) || os(macOS)
    @_silgen_name("swift_task_getJobTaskId")
    private func runtimeTaskID(of job: UnownedJob) -> UInt64
#else
    private func runtimeTaskID(of job: UnownedJob) -> UInt64 { 0 }
#endif

/// The id of the task a job belongs to: never reused within a process, or 0 where the runtime does not tell.
func taskID(of job: UnownedJob) -> UInt64 {
    JobTaskIDs.areReliable ? runtimeTaskID(of: job) : 0
}

/// An identity for the task that is running on this thread, `nil` outside of any task.
///
/// It is read from the task, not from the job the executor started: when an actor resumes a task, the job that the
/// executor sees is the actor's own, and the task goes on inside of it after it has left the actor.
///
/// - Parameter reliably: `false` takes the identity from the address of the task. Two tasks that live at the same time
///   still differ, but a new task may get the identity of one that has ended.
func currentTaskIdentity(reliably: Bool = JobTaskIDs.areReliable) -> UInt64? {
    withUnsafeCurrentTask { task in
        guard let task else { return nil }
        return reliably ? JobTaskIDs.id(of: task) : UInt64(bitPattern: Int64(task.hashValue))
    }
}

/// Whether the ids of the runtime behave as the order of a run needs them to.
enum JobTaskIDs {
    typealias Reader = @Sendable (UnownedJob) -> UInt64

    /// Decided once for a process, by trying it.
    static let areReliable = passSelfTest { runtimeTaskID(of: $0) }

    /// A task is its own job, so both hold the same pointer; the self-test compares what the two say.
    static func id(of task: UnsafeCurrentTask, reading read: Reader = { runtimeTaskID(of: $0) }) -> UInt64 {
        read(unsafeBitCast(task, to: UnownedJob.self))
    }

    /// Runs two tasks of two jobs each. Both jobs of a task must have one id, which is also that of the task itself; the two
    /// tasks must differ, and no id may be 0.
    static func passSelfTest(reading read: @escaping Reader) -> Bool {
        guard MemoryLayout<UnsafeCurrentTask>.size == MemoryLayout<UnownedJob>.size else { return false }
        let first = idsOfOneTask(reading: read)
        let second = idsOfOneTask(reading: read)
        return first.count == 1 && second.count == 1 && first != second && !first.contains(0) && !second.contains(0)
    }

    private static func idsOfOneTask(reading read: @escaping Reader) -> Set<UInt64> {
        let executor = CollectingExecutor()
        // The task itself keeps the executor alive until it has ended.
        Task(executorPreference: executor) {
            executor.record(withUnsafeCurrentTask { task in task.map { id(of: $0, reading: read) } ?? 0 })
            // Not Task.yield(): the runtime hands that over in a job of its own, which belongs to no task.
            await withUnsafeContinuation { executor.keep($0) }
        }
        repeat {
            while let job = executor.takeJob() {
                executor.record(read(job))
                job.runSynchronously(on: executor.asUnownedTaskExecutor())
            }
        } while executor.resumeKept()
        return executor.ids
    }
}

/// Keeps jobs until the self-test runs them.
private final class CollectingExecutor: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var ids: Set<UInt64> = []
        var waiting: UnsafeContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    var ids: Set<UInt64> { state.withLock { $0.ids } }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.jobs.append(job) }
    }

    func takeJob() -> UnownedJob? {
        state.withLock { $0.jobs.popLast() }
    }

    func keep(_ continuation: UnsafeContinuation<Void, Never>) {
        state.withLock { $0.waiting = continuation }
    }

    func resumeKept() -> Bool {
        guard let waiting = state.withLock({ $0.waiting.take() }) else { return false }
        waiting.resume()
        return true
    }

    func record(_ id: UInt64) {
        state.withLock { _ = $0.ids.insert(id) }
    }
}
