import DequeModule

/// The order in which the jobs of one run are taken: the task that ran last goes on, otherwise first in, first out.
///
/// Staying with one task keeps the order of sibling tasks independent of how many jobs a build cuts their calls into. Every operation takes
/// constant time, so a run of thousands of tasks stays linear.
struct TaskFirstQueue<Job>: ~Copyable {
    /// What the task that ran last has asked for since. A task waits for one thing at a time, so one place is enough.
    private var own: Job?
    private var others = Deque<(task: UInt64, job: Job)>()
    private var lastTask: UInt64?

    /// - Parameter task: 0 if the task is not known; such jobs run first in, first out.
    mutating func add(_ job: Job, of task: UInt64) {
        if task != 0, task == lastTask, own == nil {
            own = job
        } else {
            others.append((task, job))
        }
    }

    mutating func takeNext() -> Job? {
        if let job = own.take() { return job }
        guard let (task, job) = others.popFirst() else { return nil }
        lastTask = task
        return job
    }

    /// Forgets which task ran last and gives back all memory: a run that waits holds nothing here.
    mutating func rest() {
        precondition(own == nil && others.isEmpty, "a run came to rest with jobs left")
        others = Deque()
        lastTask = nil
    }
}
