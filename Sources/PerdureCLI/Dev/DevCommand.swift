import ArgumentParser
import Foundation
import Logging
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureSQLite
import PerdureServer
import ServiceLifecycle
import UnixSignals

/// Everything in one process, for one person at a desk.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev", abstract: "Hosts the example workflows with an HTTP API and a page, in one process on this machine.",
        discussion: """
            The store, the engine, the services that the examples call, the API and the page. It listens on 127.0.0.1 only and trusts whoever \
            reaches it from this machine: for trying out, not for others to use. Everything is kept in the folder: killed at any time \
            and started again, it goes on where it was. The other commands work beside it with '--store FOLDER/perdure.db'.

            Example:
              perdure dev --folder /tmp/perdure --port 7434
            """)

    @Option(help: ArgumentHelp("Where everything is kept; made if it is not there.", valueName: "folder"))
    var folder = "perdure-dev"
    @Option(help: ArgumentHelp("The port of the API on 127.0.0.1; 0 for any that is free.", valueName: "port")) var port = 7_434

    /// For the steps that are under way, which have the engine's grace, and for what is told last.
    private static let patience = Duration.seconds(45)

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port has to be from 0 to 65535.") }
    }

    func run() async throws {
        do {
            let folder = URL(filePath: folder)
            do {
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            } catch {
                throw PerdureError(.usage, "The folder '\(folder.path)' cannot be made. Give another one.", cause: error)
            }
            try await OtherSide.run(in: folder) { try await host($0, folder) }
        } catch let error as PerdureError {
            throw error.told
        }
    }

    private func host(_ other: OtherSide, _ folder: URL) async throws {
        let telemetry = try ProcessTelemetry(logLevel: .warning, patience: Self.patience), logger = telemetry.logger
        let workflows = Examples.workflows(peer: other.peerAddress, bank: other.bankAddress)
        let store = folder.appending(path: "perdure.db").path
        let engine = try await Engine(store: .sqlite(store), logger: logger) { workflows }
        let server = try LoopbackServer(
            client: engine.client, workflows: try WorkflowRegistry(workflows), examples: try ExampleInputs.texts,
            secret: try Self.secret(in: folder), metrics: telemetry.metrics, port: port,
            user: NSUserName(), logger: logger
        ) { port in
            try? Output.put(
                """
                Perdure at http://127.0.0.1:\(port), for whoever sits at this machine. Kept in \(folder.path). Stop with Ctrl-C.
                The examples call a peer at \(other.peerAddress) and a bank without idempotency keys at \(other.bankAddress).

                """,
                to: STDOUT_FILENO)
        }
        // In this order: the engine still answers while the server ends, and what they tell last is sent too.
        let spans = telemetry.spans(closes: false) { engine.client }
        let services = ([telemetry.exporter, engine, spans, server] as [(any Service)?]).compactMap(\.self).map {
            ServiceGroupConfiguration.ServiceConfiguration(
                service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup)
        }
        var lifecycle = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigint, .sigterm], logger: logger)
        // A caller who never finishes a request has none of it.
        lifecycle.maximumGracefulShutdownDuration = Self.patience
        let group = ServiceGroup(configuration: lifecycle)
        try await group.run()
        try Output.put("Stopped; what is open goes on when it is started again.\n", to: STDOUT_FILENO)
    }

    /// What the forms of the page are marked with: made once, and kept beside the store.
    private static func secret(in folder: URL) throws -> [UInt8] {
        let file = folder.appending(path: "page.key"), size = 32
        if let known = try? Data(contentsOf: file), known.count == size { return Array(known) }
        var generator = SystemRandomNumberGenerator()
        let secret = (0..<size).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        guard FileManager.default.createFile(atPath: file.path, contents: Data(secret), attributes: [.posixPermissions: 0o600])
        else {
            throw PerdureError(.usage, "'\(file.path)' cannot be written. Give another folder.")
        }
        return secret
    }
}
