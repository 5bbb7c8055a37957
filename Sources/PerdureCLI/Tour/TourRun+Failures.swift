import Perdure

// Attempts that fail, and dead letters.
extension TourRun {
    private static func limited(_ attempts: Int, intent: StepPolicy.Intent = .automatic) -> StepPolicy {
        StepPolicy(retry: RetryPolicy(jitter: 0, maximumAttempts: attempts), intent: intent)
    }

    /// A step that fails until its n-th attempt, surely without having done anything. One that is never to happen is refused for good if
    /// it is tried again.
    private func busy(_ name: String, until last: Int, _ policy: StepPolicy, _ context: WorkflowContext) async throws {
        try await context.act(name, input: name, .idempotent(retention: .forever), policy: policy, irreversible: "it is done") {
            [world] name, step in
            if last == Self.never, step.attempt > 1 { throw Rejected("no") }
            if step.attempt < last { throw TourBusy() }
            world.does(name, step)
        }
    }

    private func busyOnce(_ name: String, until last: Int, _ policy: StepPolicy, _ context: WorkflowContext) async throws {
        try await context.act(name, input: name, once(name), policy: policy, irreversible: "it is done") { [world] name, step in
            if last == Self.never, step.attempt > 1 { throw Rejected("no") }
            if step.attempt < last { throw TourBusy() }
            world.does(name)
        }
    }

    private static let never = 1_000

    func deadLetters(_ context: WorkflowContext) async throws {
        try await busy("at once", until: 2, Self.limited(1), context)
        try await busy("after three", until: 4, Self.limited(3), context)
    }

    func intendedDeadLetters(_ context: WorkflowContext) async throws {
        try await busy("with intent", until: 2, Self.limited(1, intent: .always), context)
        try await busyOnce("once", until: 2, Self.limited(1), context)
        try await busyOnce("twice", until: 4, Self.limited(3), context)
    }

    /// The other side refuses the undo until a person lets it be tried again.
    func deadUndo(_ context: WorkflowContext) async throws {
        let code = try await failure {
            try await context.scope("part") {
                try await context.step("build", input: "wall", .idempotent(retention: .forever)) { [world] wall, step in
                    world.does(wall, step)
                    return wall
                } undo: { [world] wall, step in
                    if step.attempt == 1 { throw Rejected("somebody stands on it") }
                    world.undoes(wall, step)
                }
                try await refuse(context)
            }
        }
        try await note(code, context)
    }

    func givenUpDeadLetter(_ context: WorkflowContext) async throws {
        try await within(.hours(1), "dead", context) { try await busy("never", until: 9, Self.limited(1), context) }
        try await within(.hours(1), "dead later", context) { try await busy("nor this", until: 9, Self.limited(2), context) }
    }

    func undoneDeadLetter(_ context: WorkflowContext) async throws {
        for (name, attempts) in [("half", 1), ("third", 2)] {
            let code = try await failure {
                try await context.step(
                    name, input: name, .idempotent(retention: .forever), policy: Self.limited(attempts)
                ) { _, _ -> String in
                    throw TourBusy()
                } undo: { [world] name, step in
                    world.does("cleaned up after \(name)", step)
                }
            }
            try await note("\(name) \(code)", context)
        }
    }

    func settledDeadLetter(_ context: WorkflowContext) async throws {
        try await busy("by hand", until: 99, Self.limited(1), context)
        try await busyOnce("by other hands", until: 99, Self.limited(2), context)
        try await note("after hands", context)
    }

    func retries(_ context: WorkflowContext) async throws {
        try await busy("third time", until: 3, .default, context)
        try await busyOnce("third time once", until: 3, .default, context)
        _ = try await context.read("look", input: "") { _, step in
            if step.attempt < 3 { throw TourSilence() }
            return "seen"
        }
        // Nobody knows of the first attempt, so the second one settles it.
        try await context.act("quiet", input: "quiet", .idempotent(retention: .forever), irreversible: "it is done") {
            [world] name, step in
            world.does(name, step)
            if step.attempt == 1 { throw TourSilence() }
        }
    }

    /// A commit takes longer than an attempt may.
    func slowStore(_ context: WorkflowContext) async throws {
        let hasty = StepPolicy(attemptTimeout: .seconds(1), grace: .seconds(1), intent: .always)
        try await busy("intended", until: 1, hasty, context)
        try await busyOnce("intended once", until: 1, hasty, context)
    }

    /// The code gives up while a step waits for its next attempt: one that surely did nothing, and one that may have.
    func givenUpRetries(_ context: WorkflowContext) async throws {
        let slow = StepPolicy.retry(RetryPolicy(initialDelay: .minutes(10), jitter: 0))
        try await within(.minutes(1), "sure", context) { try await busy("never", until: Self.never, slow, context) }
        try await within(.minutes(1), "sure once", context) { try await busyOnce("never once", until: Self.never, slow, context) }
        try await within(.minutes(1), "unsure", context) {
            _ = try await context.step("maybe", input: "maybe", .idempotent(retention: .forever), policy: slow) {
                [world] name, step in
                world.does(name, step)
                if step.attempt == 1 { throw TourSilence() }
                return name
            } undo: { [world] name, step in
                world.undoes(name, step)
            }
        }
        try await within(.minutes(1), "unsure read", context) {
            _ = try await context.read("look", input: "", policy: slow) { _, _ -> String in throw TourSilence() }
        }
    }
}
