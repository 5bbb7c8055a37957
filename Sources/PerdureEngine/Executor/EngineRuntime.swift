/// What an engine runs on. Everything that an engine starts, waits for or hands to another thread goes through here, so that a test can
/// take its place and decide about all of it.
package enum EngineRuntime: Sendable {
    /// Threads of the engine's own for runs, commits and times, and the process's pool for everything else.
    case threads
    /// One thread, which does one thing after the other.
    case turns(any TurnQueue)

    /// Starts a task that is nobody's child.
    @discardableResult
    package func spawn<Value: Sendable>(
        _ operation: @escaping @concurrent @Sendable () async -> Value
    ) -> Task<Value, Never> {
        switch self {
        case .threads: Task { await operation() }
        case .turns(let queue): Task(executorPreference: queue.tasks) { await operation() }
        }
    }

    /// Does the work where tasks of the engine run. Child tasks inherit that.
    package func host<Value: Sendable>(
        _ operation: @concurrent @Sendable () async throws -> Value
    ) async throws -> Value {
        switch self {
        case .threads: try await operation()
        case .turns(let queue):
            try await withTaskExecutorPreference(queue.tasks) { try await operation() }
        }
    }

    /// Whether there are threads that could be held up by what they do.
    package var hasThreads: Bool {
        if case .threads = self { true } else { false }
    }
}

/// A single thread's work for one engine. What is handed over is done later, one thing at a time, in an order that the queue decides; after
/// the engine has died nothing is done any more.
package protocol TurnQueue: Sendable {
    /// Hands over work that does not wait.
    func submit(_ work: @escaping @Sendable () -> Void)
    /// Runs the engine's own tasks.
    var tasks: any TaskExecutor { get }
    /// Starts the body of a step, an undo or a probe.
    ///
    /// - Parameter label: Says to people which one it is.
    func startBody(_ label: @autoclosure () -> String, _ body: @escaping @Sendable () async -> Void) -> Task<Void, Never>
}
