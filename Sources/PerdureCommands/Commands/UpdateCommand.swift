internal import ArgumentParser
internal import Foundation
internal import PerdureEngine
internal import PerdureHistory

/// `update`: a message that a run answers.
struct UpdateCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Sends an update to a run and prints its reply.",
        discussion: """
            Waits until the run answers; it needs somebody who hosts it. With --id, repeating the command gives the same reply. The exit
            status is 1 if the update is rejected.

            Examples:
              update RUN set-limit --payload '{"limit": 12}' --id ticket-7
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Argument(help: "The update's name.") var name: String
    @Option(help: ArgumentHelp("The payload: JSON, @file or - for standard input. Default: {}.", valueName: "json"))
    var payload = "{}"
    @Option(help: "A name for this update, which is taken in once.") var id: String?
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let bytes = try JSONArgument.read(payload, option: "--payload", environment)
        let sender = try actor.principal(environment)
        let reply = try await store.withClient(environment) { client in
            try await client.update(target.run, name: name, json: bytes, id: id, by: sender)
        }
        environment.print(String(decoding: reply, as: UTF8.self))
    }
}
