package import Hummingbird

/// The other side: a payment provider, a vault, a directory and a mail service in one small HTTP service that counts.
///
/// It listens on a loopback address only, keeps everything in its ledger, and can be told to misbehave.
package final class PeerService: Sendable {
    /// What the peer knows; may be read while it runs.
    package let ledger: PeerLedger
    private let configuration: PeerConfiguration
    private let desk: Desk

    /// Opens the ledger. Nothing listens before `run`.
    ///
    /// - Throws: `PeerError` if the configuration is not acceptable, or the database's error.
    package init(configuration: PeerConfiguration) throws {
        guard ["127.0.0.1", "::1", "localhost"].contains(configuration.host) else {
            throw PeerError.notLoopback(host: configuration.host)
        }
        guard (0...65535).contains(configuration.port) else { throw PeerError.badPort(configuration.port) }
        self.configuration = configuration
        ledger = try PeerLedger(path: configuration.databasePath, now: configuration.now)
        desk = Desk(ledger: ledger, pause: configuration.pause)
    }

    /// Serves until the task is cancelled; then returns.
    ///
    /// Requests still held are given up. What they did stands in the ledger.
    ///
    /// - Parameter onListening: Called once with the port, when connections are accepted.
    /// - Throws: If the address cannot be bound.
    package func run(onListening: @escaping @Sendable (Int) async -> Void = { _ in }) async throws {
        do {
            try await application(onListening: onListening).run()
        } catch is CancellationError {
            // Being cancelled is how the peer ends.
        }
    }

    /// The peer as a Hummingbird application, for test clients and service groups.
    package func application(onListening: @escaping @Sendable (Int) async -> Void = { _ in }) -> some ApplicationProtocol {
        let router = Router(context: PeerContext.self)
        router.add(middleware: ProblemMiddleware())
        PaymentRoutes(desk: desk).add(to: router)
        VaultRoutes(desk: desk).add(to: router)
        DirectoryRoutes(desk: desk).add(to: router)
        MailRoutes(desk: desk).add(to: router)
        ControlRoutes(desk: desk, pause: configuration.pause).add(to: router)
        return Application(
            router: router,
            configuration: .init(address: .hostname(configuration.host, port: configuration.port), serverName: "perdure-peer"),
            onServerRunning: { channel in await onListening(channel.localAddress?.port ?? 0) },
            logger: configuration.logger)
    }

    /// Lets held requests go on, as `POST /_peer/release/{operation}` does.
    ///
    /// - Returns: How many were held.
    @discardableResult package func release(_ selector: OperationSelector) -> Int {
        desk.release(selector)
    }
}
