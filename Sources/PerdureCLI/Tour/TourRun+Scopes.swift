import Perdure

// Unwinding, messages, children, and what is given up at once.
extension TourRun {
    private func build(_ name: String, _ context: WorkflowContext) async throws {
        try await context.step("build", id: name, input: name, .idempotent(retention: .forever)) { [world] name, step in
            world.does(name, step)
            return name
        } undo: { [world] name, step in
            world.undoes(name, step)
        }
    }

    func unwinding(_ context: WorkflowContext) async throws {
        let code = try await failure {
            try await context.scope("house") {
                for name in ["cellar", "wall", "roof"] {
                    try await build(name, context)
                    try await context.sleep(for: .hours(1), id: name)
                }
                try await refuse(context)
            }
        }
        try await note(code, context)
    }

    /// Three messages, each told at the other side.
    func messages(_ context: WorkflowContext) async throws {
        var sum = 0
        for turn in 1...3 {
            let number = try await context.signal(Nudge.self)
            sum += number
            try await note("nudge \(turn) was \(number)", context)
        }
        try await context.sleep(for: .hours(1))
        try await note("sum \(sum)", context)
    }

    /// What is asked for and given up before anybody could have begun it.
    func hasty(_ context: WorkflowContext) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = try? await build("hasty", context) }
            group.addTask { _ = try? await context.child(TourRun.self, id: "hasty", input: .napping, irreversible: "it sleeps") }
            group.addTask {}
            await group.next()
            group.cancelAll()
        }
        try await note("calm", context)
        // Two messages at once: the first one asks, the second one gives up.
        try await withThrowingTaskGroup(of: Void.self) { group in
            _ = try await context.signal(Nudge.self)
            group.addTask { _ = try? await build("hurried", context) }
            group.addTask {
                _ = try? await context.child(TourRun.self, id: "hurried", input: .napping, irreversible: "it sleeps")
            }
            group.addTask {
                _ = try? await context.child(
                    TourRun.self, id: "left", input: .napping, policy: .abandon, irreversible: "it sleeps")
            }
            _ = try await context.signal(Nudge.self)
            group.cancelAll()
        }
        try await note("calm again", context)
    }

    private func giveUp(
        _ place: TourPlace, after delay: Duration, looks: Int = 0, policy: ChildPolicy = .cancel, _ context: WorkflowContext
    ) async throws {
        let id = "\(place.rawValue) \(looks)"
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await context.child(TourRun.self, id: id, input: place, policy: policy) { [world] output, step in
                    if step.attempt == 1 { throw Rejected("somebody is there") }
                    world.does("took back \(id): \(output)", step)
                }
            }
            try await context.sleep(for: delay, id: id)
            for look in 0..<looks { _ = try await context.read("look", id: "\(id) \(look)", input: look) { look, _ in look } }
            group.cancelAll()
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
    }

    func children(_ context: WorkflowContext) async throws {
        let output = try await context.child(TourRun.self, input: .napping, irreversible: "it slept")
        try await giveUp(.patientChild, after: .hours(1), context)
        try await giveUp(.stubbornChild, after: .hours(1), context)
        try await note(output, context)
    }

    /// The child ends at the time at which it is given up.
    func hurriedChildren(_ context: WorkflowContext) async throws {
        for looks in 0...3 { try await giveUp(.promptChild, after: .hours(1), looks: looks, context) }
        try await note("over", context)
    }

    func abandonedChild(_ context: WorkflowContext) async throws {
        try await giveUp(.diligentChild, after: .hours(1), policy: .abandon, context)
        try await note("over", context)
    }

    /// The child is given up in the commit that begins it: the second message comes while the first one is being committed.
    func lateChild(_ context: WorkflowContext) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            _ = try await context.signal(Nudge.self)
            group.addTask {
                _ = try? await context.child(
                    TourRun.self, id: "late", input: .diligentChild, policy: .abandon, irreversible: "it goes on")
            }
            _ = try await context.signal(Nudge.self)
            group.cancelAll()
        }
        try await note("over", context)
    }
}
