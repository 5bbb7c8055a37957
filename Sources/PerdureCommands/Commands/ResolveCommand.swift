internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine

/// `resolve`: a person says what became of a step.
struct ResolveCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve", abstract: "Says what became of a step that is in doubt or cannot go on.",
        discussion: """
            --happened        it happened, with the result given; the run goes on with it
            --did-not-happen  it did not happen and will not: it is tried again
            --undo            it happened, with the result given, and is undone now
            --abort           it did not happen and will not; the run fails and undoes what it did before

            Examples:
              resolve RUN charge --happened --result '{"id": "ch_1"}'
              resolve RUN charge --did-not-happen --reason "not in the ledger"
            """)

    enum Verdict: String, EnumerableFlag {
        case happened, didNotHappen, undo, abort

        static func help(for value: Verdict) -> ArgumentHelp? {
            switch value {
            case .happened: "It happened."
            case .didNotHappen: "It did not and will not; try again."
            case .undo: "It happened; undo it."
            case .abort: "It did not and will not; fail the run."
            }
        }
    }

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Argument(help: "The step, as 'explain' shows it.") var step: String
    @Flag(exclusivity: .exclusive) var verdict: Verdict
    @Option(help: ArgumentHelp("The step's result: JSON, @file or - for standard input.", valueName: "json")) var result: String?
    @Option(help: "Why; recorded.") var reason: String?
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func validate() throws {
        if result != nil, verdict != .happened, verdict != .undo {
            throw ValidationError("--result goes with --happened and --undo only.")
        }
    }

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let value = try result.map { try JSONArgument.read($0, option: "--result", environment) }
        let resolution: StepResolution =
            switch verdict {
            case .happened: .happened(result: value)
            case .didNotHappen: .didNotHappen
            case .undo: .undo(result: value)
            case .abort: .abort
            }
        try await store.withClient(environment) { client in
            try await client.resolve(target.run, step: step, resolution, reason: reason, by: sender)
        }
        receipt.print(
            "The resolution of '\(step)' in run \(target.run) is accepted.", "resolve", of: target.run, subject: step, environment
        )
    }
}
