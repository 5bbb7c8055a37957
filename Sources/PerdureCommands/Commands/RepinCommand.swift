internal import ArgumentParser
internal import Perdure
internal import PerdureEngine

/// `repin`: a run goes on with the code of another version.
struct RepinCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "repin", abstract: "Lets a run, or many, go on with the code of another version.",
        discussion: """
            The other version's code replays the history as it stands. If it asks for something else, the run is blocked; pin it back, or to
            a version that fits. Needs neither version's code; the run then waits until an engine hosts the other one.

            Examples:
              repin RUN --to 1.4
              repin --workflow rotate-secret --version 1.3 --state blocked --to 1.4 --dry-run
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: TargetOptions
    @Option(help: "The version to go on with.") var to: String
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        guard WorkflowVersion(to).isValid else {
            throw PerdureError(.nameInvalid, "'\(to)' cannot be a version.")
        }
        try await target.perform(
            .repin(to: WorkflowVersion(to)), "The change of version of run", store: store, receipt: receipt, actor: actor,
            environment)
    }
}
