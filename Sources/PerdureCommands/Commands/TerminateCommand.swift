internal import ArgumentParser
internal import PerdureEngine

/// `terminate`: ends a run without its code.
struct TerminateCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "terminate", abstract: "Ends a run, or many, at once, without its code and without undoing anything.",
        discussion: """
            What may have happened is put in doubt. Prefer 'cancel', which undoes; use this where the code is gone or does not fit.

            Examples:
              terminate RUN --reason "superseded by RUN-2"
              terminate --workflow import --version 1.1 --state blocked --reason "the code is gone" --dry-run
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: TargetOptions
    @Option(help: "Why; recorded.") var reason: String
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        try await target.perform(
            .terminate(reason: reason), "The termination of run", store: store, receipt: receipt, actor: actor, environment)
    }
}
