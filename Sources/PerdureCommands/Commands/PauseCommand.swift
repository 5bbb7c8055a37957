internal import ArgumentParser
internal import PerdureEngine

/// `pause`: nothing more of a run is started.
struct PauseCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Stops a run, or many: nothing more is started until 'resume'.",
        discussion: """
            Attempts that are under way end and are recorded first. While a run is paused, 'terminate', 'resolve', 'repin' and 'reset' work;
            other messages wait. Children go on.

            Examples:
              pause RUN --reason "the bank is investigating"
              pause --workflow pay --label customer=7 --reason audit --dry-run
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: TargetOptions
    @Option(help: "Why; recorded.") var reason: String?
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        try await target.perform(
            .pause(reason: reason), "The pause of run", store: store, receipt: receipt, actor: actor, environment)
    }
}
