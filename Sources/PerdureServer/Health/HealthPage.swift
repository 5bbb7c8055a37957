internal import Foundation
internal import Hummingbird
internal import Logging
internal import Perdure
internal import PerdureHistory
internal import ServiceLifecycle

/// Tells the health of the process over HTTP.
package struct HealthPage: Service {
    private let board: HealthBoard
    private let configuration: ServeConfiguration
    private let metrics: MetricsPage?
    private let onListening: @Sendable (Int) async -> Void
    private let begun = Timestamp(Date())

    /// - Parameter onListening: Called once with the port, when requests are taken.
    package init(
        _ board: HealthBoard, _ configuration: ServeConfiguration, metrics: MetricsPage? = nil,
        onListening: @escaping @Sendable (Int) async -> Void
    ) {
        self.board = board
        self.metrics = metrics
        self.configuration = configuration
        self.onListening = onListening
    }

    /// Answers until it is shut down.
    ///
    /// - Throws: `PerdureError` with `configuration_invalid` if the address cannot be listened on.
    package func run() async throws {
        try await listen(
            onListening,
            orSay:
                "Nothing can be served at \(configuration.health). Give another '\(Setting.healthAddress.key)', or end what uses this one.",
            metadata: [("key", Setting.healthAddress.key)]
        ) { try await serve($0) }
    }

    private func serve(_ onListening: @escaping @Sendable (Int) async -> Void) async throws {
        let router = Router()
        router.get("health/live") { _, _ in Self.answer(HealthReport.live, .ok) }
        router.get("health/ready") { _, _ in
            let report = report
            return Self.answer(report.readiness, report.obstacle == nil ? .ok : .serviceUnavailable)
        }
        router.get("health") { _, _ in
            let report = report
            return Self.answer(report.details, report.status == .unavailable ? .serviceUnavailable : .ok)
        }
        if let metrics { router.get("metrics") { _, _ in metrics.response } }
        let address = configuration.health
        let application = Application(
            router: router,
            configuration: .init(address: .hostname(address.host, port: address.port), serverName: "perdure"),
            onServerRunning: { channel in await onListening(channel.localAddress?.port ?? address.port) },
            logger: Logger(label: "perdure.health") { _ in SwiftLogNoOpLogHandler() })
        try await application.run()
    }

    private var report: HealthReport { HealthReport(board.state, configuration, since: begun, now: Timestamp(Date())) }

    private static func answer(_ value: JSONValue, _ status: HTTPResponse.Status) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: value.canonicalText + "\n")))
    }
}
