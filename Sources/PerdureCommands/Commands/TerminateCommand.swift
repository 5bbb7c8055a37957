internal import ArgumentParser
internal import PerdureEngine

/// `terminate`: ends a run without its code.
struct TerminateCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "terminate", abstract: "Ends a run at once, without its code and without undoing anything.",
        discussion: """
            What may have happened is put in doubt. Prefer 'cancel', which undoes; use this where the code is gone or does not fit.

            Example:
              terminate RUN --reason "superseded by RUN-2"
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Option(help: "Why; recorded.") var reason: String
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        try await store.withClient(environment) { try await $0.terminate(target.run, reason: reason, by: sender) }
        receipt.print("The termination of run \(target.run) is accepted.", "terminate", of: target.run, environment)
    }
}
