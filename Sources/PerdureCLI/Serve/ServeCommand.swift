import ArgumentParser
import Foundation
import Logging
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureServer
import ServiceLifecycle
import UnixSignals

/// The operator's process beside the nodes.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Keeps a store: schedules, retention, verification, and a page about its health.",
        discussion: """
            Works until SIGINT or SIGTERM. It hosts no workflows: nodes do that ('run'). It starts what schedules say, also where no node \
            is there; removes what has expired; reads all histories again and again and says which do not hold together; says when \
            nobody hosts a version that open runs need. Of a database any number of these processes may work at the same time. Beside \
            a file it works while another process hosts that, which removes what has expired itself.

            GET /health/live, /health/ready and /health answer with JSON, on this machine alone unless it is set otherwise.

            Each setting is a flag, a variable of the environment or stands in a file, in this order: docs/configuration.md has all of them, \
            'perdure config' shows what holds.

            Examples:
              perdure serve --store postgres://app@db.example.org/perdure --retention-closed 90d
              perdure serve --config /etc/perdure.json
            """)

    @OptionGroup var options: ServeOptions

    func run() async throws {
        do {
            try await serve(try ServeConfiguration(try options.settings()))
        } catch let error as PerdureError {
            throw error.told
        }
    }

    private func serve(_ configuration: ServeConfiguration) async throws {
        let telemetry = try ProcessTelemetry(logLevel: configuration.logLevel, patience: configuration.shutdownPatience)
        let logger = telemetry.logger
        if !configuration.health.isLoopback {
            logger.warning(
                "the health page can be read from other machines, by whoever reaches it",
                metadata: ["address": "\(configuration.health)"])
        }
        let board = HealthBoard()
        let health = HealthPage(board, configuration, metrics: telemetry.metrics) { [configuration] port in
            let host = configuration.health.host.contains(":") ? "[\(configuration.health.host)]" : configuration.health.host
            try? Output.put(
                "Serving \(configuration.store). Health at http://\(host):\(port)/health. Stop with Ctrl-C.\n", to: STDOUT_FILENO)
        }
        let work = ServeProcess(configuration, board, logger: logger) {
            try? Output.put("Ended before all was done; another process goes on with it.\n", to: STDERR_FILENO)
            Foundation.exit(0)
        }
        let control = try configuration.api.map { api in
            try ControlServer(api, store: configuration.store, targets: configuration.hookTargets, logger: logger) { address in
                try? Output.put("The API and the page are at \(address).\n", to: STDOUT_FILENO)
            }
        }
        let spans = telemetry.spans(of: configuration.namespaces, closes: true) { [logger] in
            try await Client(configuration.store.configuration(logger: logger))
        }
        // In this order: the page still answers while the work ends, and what it tells last is sent too.
        let services = ([telemetry.exporter, health, spans, control, work] as [(any Service)?]).compactMap(\.self).map {
            ServiceGroupConfiguration.ServiceConfiguration(
                service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup)
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services, gracefulShutdownSignals: [.sigint, .sigterm], logger: logger))
        try await group.run()
        try Output.put("Stopped.\n", to: STDOUT_FILENO)
    }
}

extension PerdureError {
    /// Tells the error as every command does; what is returned ends the program with its status.
    var told: ExitCode {
        let cause = cause.map { " (\($0))" } ?? ""
        try? Output.put("error: \(message)\(cause)\ncode: \(code), see docs/errors/\(code).md\n", to: STDERR_FILENO)
        return ExitCode(CommandStatus(code).rawValue)
    }
}
