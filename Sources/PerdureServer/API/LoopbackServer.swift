internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
package import Logging
internal import NIOCore
internal import Perdure
package import PerdureEngine
internal import PerdureHistory
internal import ServiceLifecycle

/// Answers the HTTP API and shows the page on this machine alone, and trusts whoever reaches it from here.
package struct LoopbackServer: Service {
    private let api: API
    private let sender: HookSender
    private let site: PageSite
    private let metrics: MetricsPage?
    private let port: Int
    private let onListening: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - workflows: Those whose code is in this process: with it inputs are checked before a run begins.
    ///   - examples: Inputs that the page proposes, by workflow, as JSON.
    ///   - secret: Kept over restarts, so that forms of the page are; nil for one that goes with this process.
    ///   - metrics: What is answered at `/metrics`.
    ///   - port: 0 for any that is free.
    ///   - onListening: Called once with the port, when requests are taken.
    package init(
        client: Client, workflows: WorkflowRegistry?, examples: [String: String] = [:], secret: [UInt8]? = nil,
        metrics: MetricsPage? = nil,
        port: Int, user: String, logger: Logger,
        onListening: @escaping @Sendable (Int) async -> Void
    ) throws {
        let gate = LoopbackGate(user: user), now: @Sendable () -> Timestamp = { Timestamp(Date()) }
        var api = API(
            client: client, workflows: workflows, gate: gate, live: LiveHistories(client: client, logger: logger), now: now,
            logger: logger)
        api.hookTargets = .desk
        self.api = api
        sender = try HookSender(client: client, targets: .desk, logger: logger)
        site = try PageSite(
            client: client, workflows: workflows, examples: examples, gate: gate, secret: secret, now: now, logger: logger)
        self.metrics = metrics
        self.port = port
        self.onListening = onListening
    }

    /// Answers until it is shut down.
    ///
    /// - Throws: `PerdureError` with `configuration_invalid` if the port cannot be listened on.
    package func run() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { await api.sweep.run() }
            group.addTask { try await sender.run() }
            defer { group.cancelAll() }
            try await listen(
                onListening, orSay: "Nothing can be served at 127.0.0.1:\(port). Give another port, or end what uses this one."
            ) { try await serve($0) }
        }
    }

    private func serve(_ onListening: @escaping @Sendable (Int) async -> Void) async throws {
        let application = Application(
            responder: ServerResponder(api, site, metrics), server: .http1(configuration: .perdure),
            configuration: .init(address: .hostname("127.0.0.1", port: port), serverName: "perdure"),
            onServerRunning: { channel in await onListening(channel.localAddress?.port ?? port) },
            logger: Logger(label: "perdure.http") { _ in SwiftLogNoOpLogHandler() })
        try await application.run()
    }
}

extension HTTP1Channel.Configuration {
    /// Bounds on what one connection may send before anything of it is looked at.
    static var perdure: HTTP1Channel.Configuration {
        .init(
            idleTimeout: .seconds(60),
            httpDecoderConfiguration: .init(maxHeaderFieldSize: 16_384, maxHeaderListSize: 65_536, maxHeaderFieldCount: 100))
    }
}

/// The routes of the API and of the page, and for every other address a problem: a document, or a page for a browser.
struct ServerResponder: HTTPResponder {
    typealias Context = APIContext
    private let router: any HTTPResponder<APIContext>
    private let site: PageSite
    private let isTLS: Bool

    init(_ api: API, _ site: PageSite, _ metrics: MetricsPage?, isTLS: Bool = false) {
        self.isTLS = isTLS
        let router = Router(context: APIContext.self, options: .autoGenerateHeadEndpoints)
        api.addRoutes(to: router)
        site.addRoutes(to: router)
        if let metrics {
            router.get("metrics") { request, context in
                do {
                    _ = try await api.gate.caller(of: request, over: context.channel, by: .api)
                    return metrics.response
                } catch {
                    return Response(error as? Problem ?? .internalError)
                }
            }
        }
        self.router = router.buildResponder()
        self.site = site
    }

    @concurrent func respond(to request: Request, context: APIContext) async throws -> Response {
        var response = try await router.respond(to: request, context: context)
        // The router answers with nothing of ours where there is no route.
        if response.status == .notFound, response.headers[.contentType] == nil { response = await notFound(request, context) }
        response.headers[.xContentTypeOptions] = "nosniff"
        // For a year over nothing but TLS (RFC 6797).
        if isTLS { response.headers[.strictTransportSecurity] = "max-age=31536000" }
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func notFound(_ request: Request, _ context: APIContext) async -> Response {
        if request.headers[.accept]?.contains("text/html") == true { return await site.notFound(request, context) }
        return Response(
            Problem(.notFound, "address_unknown", "There is nothing at this address; /openapi.json lists what there is."))
    }
}
