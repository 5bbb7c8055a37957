internal import AsyncHTTPClient
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
package import Logging
internal import NIOCertificateReloading
internal import NIOCore
internal import NIOSSL
internal import Perdure
package import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle

/// Answers the HTTP API and shows the page to whoever shows who they are.
package struct ControlServer: Service {
    private static let rest = Duration.seconds(1)

    private let configuration: APIConfiguration
    private let store: StorePlace
    private let access: Access
    private let http: HTTPClient
    private let tls: (reloader: TimedCertificateReloader, configuration: TLSConfiguration)?
    private let targets: HookTargets
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let onListening: @Sendable (String) async -> Void

    /// - Parameters:
    ///   - targets: Where webhooks may be sent.
    ///   - onListening: Called once with the address, when requests are taken.
    /// - Throws: `PerdureError` with `configuration_invalid` if a file that the settings name cannot be used.
    package init(
        _ configuration: APIConfiguration, store: StorePlace, targets: HookTargets = .everybodys, logger: Logger,
        onListening: @escaping @Sendable (String) async -> Void
    ) throws {
        self.configuration = configuration
        self.store = store
        self.targets = targets
        self.logger = logger
        self.onListening = onListening
        now = { Timestamp(Date()) }
        var client = HTTPClient.Configuration(redirectConfiguration: .disallow)
        client.timeout = .init(connect: .seconds(5), read: .seconds(10))
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: client)
        do {
            access = try Access(path: configuration.access, http: http, now: now, logger: logger)
            tls = try configuration.tls.map { try Self.tls($0, logger: logger) }
        } catch {
            try? http.syncShutdown()
            throw error
        }
    }

    /// Answers until it is shut down. A store that is not there is waited for.
    ///
    /// - Throws: `PerdureError` with `configuration_invalid` if the address cannot be listened on, and with the store's code if the store
    ///   can never be used.
    package func run() async throws {
        let result = await Result { try await work() }
        try? await http.shutdown()
        try result.get()
    }

    private func work() async throws {
        guard let client = try await openClient() else { return }
        let result = await Result { try await work(with: client) }
        await client.close()
        try result.get()
    }

    private func work(with client: Client) async throws {
        let live = LiveHistories(client: client, logger: logger)
        try await withThrowingTaskGroup { group in
            group.addTask { await access.run() }
            group.addTask { await ControlSweep(client: client, now: now, logger: logger).run() }
            let sender = try HookSender(client: client, targets: targets, logger: logger)
            group.addTask { try await sender.run() }
            if let reloader = tls?.reloader { group.addTask { try await reloader.run() } }
            defer { group.cancelAll() }
            try await listen(
                { [onListening, configuration, tls] port in
                    let host = configuration.address.host, shown = host.contains(":") ? "[\(host)]" : host
                    await onListening(configuration.origin ?? "\(tls == nil ? "http" : "https")://\(shown):\(port)")
                },
                orSay:
                    "Nothing can be served at \(configuration.address). Give another '\(Setting.apiAddress.key)', or end what uses this one.",
                metadata: [("key", Setting.apiAddress.key)]
            ) { try await serve(client, live, $0) }
        }
    }

    /// - Returns: nil if the process ends before there is one.
    private func openClient() async throws -> Client? {
        var isSaid = false
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            do {
                return try await Client(store.configuration(logger: logger))
            } catch let error as PerdureError {
                if error.isForGood { throw error }
                // Where there is none yet it is about to be made, or the engine beside this says so.
                if !isSaid, error.code != .storeMissing {
                    logger.error(
                        "the API waits for the store", metadata: ["code": "\(error.code)", "error": "\(error.message)"])
                }
                isSaid = error.code != .storeMissing
                try? await cancelWhenGracefulShutdown { try await Task.sleep(for: Self.rest) }
            }
        }
        return nil
    }

    private func serve(
        _ client: Client, _ live: LiveHistories, _ isListening: @escaping @Sendable (Int) async -> Void
    ) async throws {
        let gate = IdentityGate(
            origin: configuration.origin, isTLS: tls != nil, access: access, tokens: APITokens(client: client, now: now),
            sessions: Sessions(client: client, now: now), takesCertificates: configuration.tls?.clients != nil,
            callers: RateLimit(perSecond: configuration.rate), now: now)
        var api = API(client: client, workflows: nil, gate: gate, live: live, now: now, logger: logger)
        api.hookTargets = targets
        let site = try PageSite(
            client: client, workflows: nil, examples: [:], gate: gate, signIn: SignIn(gate: gate, http: http), secret: nil,
            now: now,
            logger: logger)
        let address = configuration.address
        let application = Application(
            responder: ServerResponder(api, site, nil, isTLS: tls != nil || configuration.origin?.hasPrefix("https:") == true),
            server: try server,
            configuration: .init(address: .hostname(address.host, port: address.port), serverName: "perdure"),
            onServerRunning: { channel in await isListening(channel.localAddress?.port ?? address.port) },
            logger: Logger(label: "perdure.http") { _ in SwiftLogNoOpLogHandler() })
        try await application.run()
    }

    // MARK: TLS

    private var server: HTTPServerBuilder {
        get throws {
            guard let tls else { return .http1(configuration: .perdure) }
            return try .tls(.http1(configuration: .perdure), tlsConfiguration: tls.configuration)
        }
    }

    /// Certificate and key are read again every minute; a pair that does not fit changes nothing.
    private static func tls(
        _ files: APIConfiguration.TLS, logger: Logger
    ) throws -> (TimedCertificateReloader, TLSConfiguration) {
        do {
            let reloader = try TimedCertificateReloader.makeReloaderValidatingSources(
                configuration: .init(
                    refreshInterval: .seconds(60),
                    certificateSource: .init(location: .file(path: files.certificate), format: .pem),
                    privateKeySource: .init(location: .file(path: files.key), format: .pem)
                ) { configuration in
                    // Again every minute, until it can: what is served meanwhile expires.
                    configuration.onCertificateLoadFailed = { failure in
                        logger.error(
                            "the certificate cannot be read again; the one before is served",
                            metadata: ["error": "\(failure.error)"])
                    }
                })
            var tls = try TLSConfiguration.makeServerConfiguration(certificateReloader: reloader)
            tls.minimumTLSVersion = .tlsv12
            if let clients = files.clients {
                // Asked for, and not demanded: others come with tokens.
                tls.certificateVerification = .optionalVerification
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(clients))
                tls.sendCANameList = true
            }
            return (reloader, tls)
        } catch {
            throw PerdureError(
                .configurationInvalid,
                "The certificate '\(files.certificate)' with the key '\(files.key)'"
                    + (files.clients.map { ", or '\($0)' for those of clients," } ?? "") + " cannot be used.", cause: error)
        }
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
