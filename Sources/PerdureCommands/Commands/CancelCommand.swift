internal import ArgumentParser
internal import PerdureEngine

/// `cancel`: asks a run to end and undo.
struct CancelCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Asks a run to end; what it has done is undone in reverse order.",
        discussion: """
            Example:
              cancel 0193a5b0-0000-7000-8000-000000000001
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        try await store.withClient(environment) { try await $0.cancel(target.run, by: sender) }
        receipt.print("The cancellation of run \(target.run) is accepted.", "cancel", of: target.run, environment)
    }
}
