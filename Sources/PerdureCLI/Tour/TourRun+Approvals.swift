import Perdure

// Steps that wait for a person.
extension TourRun {
    private var clerk: ApprovalRequirement { .required(by: .role("clerk"), within: .days(3)) }

    /// One approved, one denied, one that nobody decides on.
    func approvals(_ context: WorkflowContext) async throws {
        try await context.act("open", input: "gate", once("opened"), approval: clerk, irreversible: "it is open") {
            [world] _, _ in
            world.does("opened")
        }
        let denied = try await failure {
            try await context.act("close", input: "gate", once("closed"), approval: clerk, irreversible: "it is closed") {
                [world] _, _ in world.does("closed")
            }
        }
        try await note(denied, context)
        let expired = try await failure {
            try await context.act(
                "paint", input: "gate", .idempotent(retention: .forever),
                approval: .required(by: .anyone, within: .hours(2)), irreversible: "it is painted"
            ) { [world] _, step in world.does("painted", step) }
        }
        try await note(expired, context)
    }

    /// Approvals that the code stops waiting for.
    func lateApprovals(_ context: WorkflowContext) async throws {
        try await within(.hours(1), "hurry", context) {
            try await context.act("open", input: "gate", once("opened"), approval: clerk, irreversible: "it is open") {
                [world] _, _ in world.does("opened")
            }
        }
        // The decision comes when nobody waits for it.
        try await context.sleep(for: .hours(2))
        try await note("later", context)
    }

    /// Somebody approves what is not what would be done.
    func otherView(_ context: WorkflowContext) async throws {
        let code = try await failure {
            try await context.act(
                "open", input: "gate", once("opened"), approval: .required(by: .anyone, within: .hours(2)),
                irreversible: "it is open"
            ) { [world] _, _ in world.does("opened") }
        }
        try await note(code, context)
    }

    /// The decision, and what makes it useless, come together.
    func hurriedApproval(_ context: WorkflowContext) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await context.act("open", input: "gate", once("opened"), approval: clerk, irreversible: "it is open") {
                    [world] _, _ in world.does("opened")
                }
            }
            group.addTask { _ = try await context.signal(Nudge.self) }
            try await group.next()
            group.cancelAll()
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
        try await note("over", context)
    }
}
