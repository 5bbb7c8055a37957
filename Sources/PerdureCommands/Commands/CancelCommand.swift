internal import ArgumentParser
internal import PerdureEngine

/// `cancel`: asks a run to end and undo.
struct CancelCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Asks a run to end, or many; what it has done is undone in reverse order.",
        discussion: """
            Examples:
              cancel 0193a5b0-0000-7000-8000-000000000001
              cancel --workflow import --older-than 30d --dry-run
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: TargetOptions
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        try await target.perform(.cancel, "The cancellation of run", store: store, receipt: receipt, actor: actor, environment)
    }
}
