import ArgumentParser
import Foundation
import Logging
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureServer

/// API tokens for `perdure serve`, made by whoever has the store in his hands.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Makes, lists and revokes API tokens of 'perdure serve'.",
        discussion: """
            A token lets a program, or a person at the page, do in one namespace what its roles may: viewer, starter, operator, approver, \
            approver:NAME, auditor, admin. It is shown once; the store keeps a hash of it. Whoever reaches the store can make one, so that the \
            first admin needs nothing else: docs/identity.md.

            Examples:
              perdure token make ci --role starter --namespace billing --expires 30d
              perdure token list --namespace billing
              perdure token revoke ci --namespace billing
            """,
        subcommands: [Make.self, List.self, Revoke.self])

    struct Place: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "The store: a file, or the postgres:// URL of a database. Default: $PERDURE_STORE, or perdure.db.",
                valueName: "path|url"))
        var store: String?
        @Option(help: ArgumentHelp("The namespace it is good for; '*' for all.", valueName: "name")) var namespace = "default"

        /// Who does it, as the operating system says.
        var user: String { NSUserName() }

        func withTokens<T>(_ body: (APITokens) async throws -> T) async throws -> T {
            do {
                let environment = ProcessInfo.processInfo.environment["PERDURE_STORE"].flatMap { $0.isEmpty ? nil : $0 }
                let place = StorePlace(store ?? environment ?? "perdure.db")
                let client = try await Client(
                    place.configuration(logger: Logger(label: "perdure") { _ in SwiftLogNoOpLogHandler() }))
                do {
                    let result = try await body(APITokens(client: client) { Timestamp(Date()) })
                    await client.close()
                    return result
                } catch {
                    await client.close()
                    throw error
                }
            } catch let error as PerdureError {
                throw error.told
            }
        }
    }

    struct Make: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "make", abstract: "Makes a token, and prints it this once.")

        @OptionGroup var place: Place
        @Argument(help: "Its name, which no other token of the namespace ever had.") var name: String
        @Option(name: .customLong("role"), help: ArgumentHelp("What it may; several are given one by one.", valueName: "role"))
        var roles: [String]
        @Option(
            name: .customLong("for"),
            help: ArgumentHelp(
                "Who uses it, by the id that the server knows them by: what the token starts they cannot approve. Default: you.",
                valueName: "id"))
        var person: String?
        @Option(help: ArgumentHelp("How long it is good: 90s, 15m, 12h, 30d; 366 days at most.", valueName: "time")) var expires:
            String

        func run() async throws {
            let text = try await place.withTokens { tokens in
                guard let lifetime = Setting.span(expires) else {
                    throw PerdureError(.usage, "'--expires' has to be a length of time, such as 90s, 15m, 12h or 30d.")
                }
                return try await tokens.make(
                    name: name, namespace: place.namespace, roles: roles, lifetime: lifetime, maker: place.user, person: person)
            }
            try Output.put(text + "\n", to: STDOUT_FILENO)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Lists the tokens of a namespace, a JSON object on each line. No secret is shown.")

        @OptionGroup var place: Place

        func run() async throws {
            let found = try await place.withTokens { try await $0.list(in: place.namespace) }
            try Output.put(found.map { $0.canonicalText + "\n" }.joined(), to: STDOUT_FILENO)
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Makes a token, and every session that was begun with it, worthless at once.")

        @OptionGroup var place: Place
        @Argument(help: "Its name.") var name: String

        func run() async throws {
            try await place.withTokens { try await $0.revoke(name: name, namespace: place.namespace, revoker: place.user) }
            try Output.put("Revoked.\n", to: STDOUT_FILENO)
        }
    }
}
