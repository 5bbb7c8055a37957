internal import ArgumentParser
internal import Foundation
internal import PerdureEngine

/// `signal`: a message for a run.
struct SignalCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "signal", abstract: "Sends a signal to a run.",
        discussion: """
            The signal is kept until the run asks for it. With --id, repeating the command delivers it once.

            Examples:
              signal RUN paid --payload '{"amount": 12}' --id invoice-7
              signal RUN go-on
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Argument(help: "The signal's name.") var name: String
    @Option(help: ArgumentHelp("The payload: JSON, @file or - for standard input. Default: {}.", valueName: "json"))
    var payload = "{}"
    @Option(help: "A name for this delivery, which is taken in once.") var id: String?
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let bytes = try JSONArgument.read(payload, option: "--payload", environment)
        let sender = try actor.principal(environment)
        try await store.withClient(environment) { client in
            try await client.signal(target.run, name: name, json: bytes, id: id, by: sender)
        }
        receipt.print("Signal '\(name)' is accepted for run \(target.run).", "signal", of: target.run, subject: name, environment)
    }
}
