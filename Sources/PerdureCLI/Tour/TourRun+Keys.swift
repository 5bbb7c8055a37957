import Perdure

// Business keys that two runs want.
extension TourRun {
    private static func policy(_ delay: Duration = .seconds(10)) -> StepPolicy {
        .retry(RetryPolicy(initialDelay: delay, multiplier: 1, jitter: 0))
    }

    /// Holds a key until the attempt of this number, which ends it.
    func hold(_ order: String, until last: Int, isRefused: Bool, _ context: WorkflowContext) async throws -> String {
        do {
            return try await context.step(
                "charge", key: order, input: order, .idempotent(retention: .forever), policy: Self.policy(),
                irreversible: "it is paid"
            ) { [world] order, step in
                if step.attempt < last { throw TourBusy() }
                if isRefused { throw Rejected("there is no money") }
                world.does("charged \(order)", step)
                return "charge of \(order)"
            }
        } catch let failure as StepFailure {
            return failure.code
        }
    }

    private func charge(_ order: String, _ input: String, approval: ApprovalRequirement? = nil, _ context: WorkflowContext)
        async throws -> String
    {
        try await context.step(
            "charge", key: order, input: input, .idempotent(retention: .forever), policy: Self.policy(), approval: approval,
            irreversible: "it is paid"
        ) { [world] order, step in
            world.does("charged \(order)", step)
            return "charge of \(order)"
        }
    }

    /// A child holds the key that this run then wants.
    func keys(_ order: String, holder: TourPlace, _ context: WorkflowContext) async throws {
        async let held = context.child(TourRun.self, input: holder, irreversible: "it is paid")
        try await context.sleep(for: .seconds(1))
        let charge = try await charge(order, order, context)
        _ = try await held
        try await note(charge, context)
    }

    func approvedKeys(_ context: WorkflowContext) async throws {
        for (order, holder) in [("7", TourPlace.holder), ("8", .freeingHolder)] {
            try await context.scope(order) {
                async let held = context.child(TourRun.self, input: holder, irreversible: "it is paid")
                let charge = try await charge(order, order, approval: .required(by: .anyone, within: .days(1)), context)
                _ = try await held
                try await note(charge, context)
            }
        }
    }

    func givenUpKeys(_ context: WorkflowContext) async throws {
        async let held = context.child(TourRun.self, input: .slowHolder, irreversible: "it is paid")
        try await context.sleep(for: .seconds(1))
        try await within(.seconds(15), "waiting", context) { _ = try await charge("9", "9", context) }
        try await note(await held, context)
    }

    func givenUpApprovedKeys(_ context: WorkflowContext) async throws {
        async let held = context.child(TourRun.self, input: .slowHolder, irreversible: "it is paid")
        try await context.sleep(for: .seconds(1))
        try await within(.seconds(15), "waiting", context) {
            _ = try await charge("9", "9", approval: .required(by: .anyone, within: .days(1)), context)
        }
        try await note(await held, context)
    }

    func otherInput(_ context: WorkflowContext) async throws {
        let held = try await context.child(TourRun.self, input: .holder, irreversible: "it is paid")
        let code = try await failure { _ = try await charge("7", "something else", context) }
        try await note("\(held), \(code)", context)
    }
}
