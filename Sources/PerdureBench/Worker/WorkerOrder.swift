import Foundation

/// What a child process is to do.
struct WorkerOrder: Codable, Sendable {
    enum Task: String, Codable, Sendable {
        /// Start runs and carry them on, to be killed in the middle.
        case crash
        /// Take on what there is to do until the input ends. Tells when so many different runs have gone on.
        case work
        /// Take over what is in the store, and end when everything has completed.
        case resume
        /// The same by hand.
        case resumeByHand
        /// Park runs and look at the memory they take.
        case park
        /// Start one run, and wait.
        case start
        /// Write one run's rows by hand, and wait.
        case startByHand
    }

    var task: Task
    var place: BenchPlace
    /// The file that every executed body adds a line to: what is counted outside of the engine.
    var counter: String?
    var runs: Int
    var steps: Int
    var bytes: Int

    init(_ task: Task, _ place: BenchPlace, counter: String? = nil, runs: Int = 1, steps: Int = 1, bytes: Int = 64) {
        self.task = task
        self.place = place
        self.counter = counter
        self.runs = runs
        self.steps = steps
        self.bytes = bytes
    }
}

/// A line of a child's output.
struct WorkerReport: Codable, Sendable {
    enum Event: String, Codable, Sendable {
        /// The first step is executed, or every run that was in flight has gone on.
        case moving
        case idle
        case done
    }

    var event: Event
    /// `at` is when it happened, in seconds of the system's monotonic clock, which all processes share.
    var figures: [String: Double]
}
