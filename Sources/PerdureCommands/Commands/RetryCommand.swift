internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureStore

/// `retry`: lets something that is stuck try again.
struct RetryCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Lets a stuck step try again, or a run that is blocked or was parked because it takes its process down.",
        discussion: """
            A step that must happen at most once and may have happened is not retried: 'resolve' says first what became of it.

            Examples:
              retry RUN
              retry RUN charge
              retry --workflow pay --state parked --dry-run
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: TargetOptions
    @Argument(help: "The step; may be left out if only one is stuck.") var step: String?
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        guard let run = target.run else {
            return try await target.perform(.retry, "", store: store, receipt: receipt, actor: actor, environment)
        }
        let sender = try actor.principal(environment)
        let step = try await store.withClient(environment) { client in
            let step = try await find(run, client)
            try await client.retry(run, step: step, by: sender)
            return step
        }
        receipt.print(
            "The retry of \(step.map { "'\($0)' in " } ?? "")run \(run) is accepted.", "retry", of: run,
            subject: step,
            environment)
    }

    private func find(_ run: RunID, _ client: Client) async throws -> String? {
        let record = try await client.record(run)
        if record.state.isFinal {
            throw PerdureError(.runClosed, "Run \(run) is closed; nothing of it can be tried again.")
        }
        let view = try await client.view(of: run)
        if step == nil, view.isPoisoned || record.state == .blocked { return nil }
        let stuck = step.map { name in view.stuckSteps.filter { $0.subject == name } } ?? view.stuckSteps
        guard let first = stuck.first else {
            // The client says whether the step exists.
            if let step { return step }
            throw PerdureError(.stepNotStuck, "Nothing of run \(run) is stuck.")
        }
        guard stuck.allSatisfy({ $0.subject == first.subject }) else {
            let names = stuck.map { "'\($0.subject)'" }.joined(separator: ", ")
            throw PerdureError(.usage, "Several steps of run \(run) are stuck: \(names). Name one.")
        }
        if first.isInDoubt, first.effect == EffectKind.atMostOnce.name {
            throw PerdureError(
                .stepNotStuck,
                "'\(first.subject)' may have happened and must not be repeated blindly: say with 'resolve' what became of it.")
        }
        return first.subject
    }
}
