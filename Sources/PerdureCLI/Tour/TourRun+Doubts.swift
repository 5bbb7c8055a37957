import Perdure

// Steps of which nobody knows whether they happened, and steps that nobody wants any more.
extension TourRun {
    private static func limited(_ attempts: Int) -> StepPolicy {
        StepPolicy(retry: RetryPolicy(jitter: 0, maximumAttempts: attempts))
    }

    /// A person says what is true.
    func doubts(_ context: WorkflowContext) async throws {
        for (name, attempts) in [("silent", 1), ("silent twice", 2)] {
            try await context.act(
                name, input: name, .idempotent(retention: .forever), policy: Self.limited(attempts), irreversible: "it is done"
            ) { [world] name, step in
                if step.attempt <= attempts { throw TourSilence() }
                world.does(name, step)
            }
        }
        try await context.act("asked", input: "asked", .atMostOnce(inDoubt: .askPerson), irreversible: "it is done") {
            [world] name, step in
            world.does(name)
            throw TourSilence()
        }
    }

    /// The other side says what is true: it did not happen and may be tried again, may not be, or happened.
    func probes(_ context: WorkflowContext) async throws {
        for (name, policy) in [("again", StepPolicy.default), ("no more", Self.limited(1))] {
            try await context.act(name, input: name, once(name), policy: policy, irreversible: "it is done") {
                [world] name, step in
                if step.attempt == 1 { throw TourSilence() }
                world.does(name)
            }
        }
        try await context.act("happened", input: "happened", once("happened"), irreversible: "it is done") { [world] name, _ in
            world.does(name)
            throw TourSilence()
        }
        try await context.act(
            "half", input: "half", .atMostOnce(inDoubt: .probe { _, _ in .partly("one of two") }), irreversible: "it is done"
        ) { [world] name, _ in
            world.does(name)
            throw TourSilence()
        }
    }

    /// Runs a body until it is told to stop.
    private func giveUp(_ context: WorkflowContext, _ id: String, _ body: @escaping @Sendable () async throws -> Void)
        async throws
    {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await body() }
            try await context.sleep(for: .minutes(1), id: id)
            group.cancelAll()
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
    }

    /// It can be taken back once a person has looked after it.
    private func takeBack(_ name: String, _ step: StepContext) throws {
        if step.attempt == 1 { throw Rejected("somebody is there") }
        world.undoes(name, step)
    }

    /// They happen although they are told to stop, and are taken back.
    func unwanted(_ context: WorkflowContext) async throws {
        try await giveUp(context, "plain") {
            _ = try await context.step("plain", input: "plain", .idempotent(retention: .forever)) { [world] name, step in
                await TourBell.untilToldToStop()
                world.does(name, step)
                return name
            } undo: { name, step in
                try takeBack(name, step)
            }
        }
        try await giveUp(context, "once") {
            try await context.act("once", input: "once", once("once")) { [world] name, _ in
                await TourBell.untilToldToStop()
                world.does(name)
            } undo: { name, step in
                try takeBack(name, step)
            }
        }
        try await giveUp(context, "stays") {
            try await context.act("stays", input: "stays", .idempotent(retention: .forever), irreversible: "it stays") {
                [world] name, step in
                await TourBell.untilToldToStop()
                world.does(name, step)
            }
        }
        try await note("over", context)
    }

    /// The same, and nobody hears of it: the probe finds out, or a person.
    func unwantedDoubt(_ context: WorkflowContext) async throws {
        try await giveUp(context, "probed") {
            try await context.act("probed", input: "probed", once("probed")) { [world] name, _ in
                await TourBell.untilToldToStop()
                world.does(name)
                throw TourSilence()
            } undo: { name, step in
                try takeBack(name, step)
            }
        }
        try await giveUp(context, "asked") {
            try await context.act("asked", input: "asked", .atMostOnce(inDoubt: .askPerson)) { [world] name, _ in
                await TourBell.untilToldToStop()
                world.does(name)
                throw TourSilence()
            } undo: { name, step in
                try takeBack(name, step)
            }
        }
        try await note("over", context)
    }

    /// A person has something undone that is in doubt.
    func personsUndo(_ context: WorkflowContext) async throws {
        let code = try await failure {
            try await context.act("asked", input: "asked", .atMostOnce(inDoubt: .askPerson)) { [world] name, _ in
                world.does(name)
                throw TourSilence()
            } undo: { [world] name, step in
                world.undoes(name, step)
            }
        }
        try await note(code, context)
    }
}
