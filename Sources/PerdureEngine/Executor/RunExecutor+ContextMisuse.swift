/// A way to call a context that the run could not replay.
package enum ContextMisuse: Sendable, Hashable {
    /// Not in a task of the run: an unstructured or detached task, a step's body, another executor or another thread.
    case outsideTheRun
    /// From code of the run, but isolated to an actor: who else uses the actor would decide about the order.
    case onAnActor
}

extension RunExecutor {
    /// What is wrong with a call of a context of this run, `nil` if nothing is.
    ///
    /// To be asked first thing in the context method, before anything suspends. The method is `nonisolated(nonsending)`,
    /// which is the default with this package's settings; inside of it `#isolation` is the isolation of its caller:
    ///
    /// ```swift
    /// package func step(_ name: String) async throws {
    ///     if let misuse = executor.misuse(isolation: #isolation) { throw … }
    /// ```
    ///
    /// A method that is `@concurrent`, or that calls this in a closure marked so, sees no actor at all.
    package func misuse(isolation: (any Actor)?) -> ContextMisuse? {
        guard isPreferredByCurrentTask else { return .outsideTheRun }
        // Before the thread: the main actor, or an actor with its own executor, is on another thread as well, and "do not
        // call this on an actor" is what helps its author.
        if isolation != nil { return .onAnActor }
        return isDrainingOnThisThread ? nil : .outsideTheRun
    }

    /// Being on the thread of the run is not enough: an immediate task starts there too without being part of the run.
    private var isPreferredByCurrentTask: Bool {
        withUnsafeCurrentTask { $0?.unownedTaskExecutor == asUnownedTaskExecutor() }
    }
}
