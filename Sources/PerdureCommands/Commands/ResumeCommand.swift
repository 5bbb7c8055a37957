internal import ArgumentParser
internal import PerdureEngine

/// `resume`: ends a pause.
struct ResumeCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Lets a paused run go on where it was, or many.",
        discussion: """
            What came due meanwhile counts now, in the order of its times.

            Examples:
              resume RUN
              resume --workflow pay --yes
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: TargetOptions
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        try await target.perform(
            .unpause, "The end of the pause of run", store: store, receipt: receipt, actor: actor, environment)
    }
}
