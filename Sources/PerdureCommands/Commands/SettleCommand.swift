internal import ArgumentParser
internal import PerdureEngine

/// `settle`: what was lost of a run has been looked at.
struct SettleCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "settle",
        abstract: "Says of a run, or of many, that nothing of what was lost is outstanding.",
        discussion: """
            After 'recover --restored' every open run asks before it sends what may have been sent in the lost part, and so do the runs that
            continue it and its children. Once somebody has looked at the other sides, this ends it: what is asked for from then on is sent as
            ever. What is in doubt already stays so until 'resolve'; children that were started before are settled by themselves.

            Examples:
              settle RUN --reason "compared with the bank's list"
              settle --workflow renew --label region=eu --reason "looked at all" --dry-run
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: TargetOptions
    @Option(help: "What was looked at; recorded.") var reason: String?
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        try await target.perform(
            .settleLoss(reason: reason), "The word on what was lost of run", store: store, receipt: receipt, actor: actor,
            environment)
    }
}
