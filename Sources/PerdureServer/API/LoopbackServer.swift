internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
package import Logging
internal import NIOCore
package import PerdureEngine
internal import PerdureHistory
internal import ServiceLifecycle

/// Answers the HTTP API on this machine alone, and trusts whoever reaches it from here.
package struct LoopbackServer: Service {
    private let api: API
    private let port: Int
    private let onListening: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - workflows: Those whose code is in this process: with it inputs are checked before a run begins.
    ///   - port: 0 for any that is free.
    ///   - onListening: Called once with the port, when requests are taken.
    package init(
        client: Client, workflows: WorkflowRegistry?, port: Int, user: String, logger: Logger,
        onListening: @escaping @Sendable (Int) async -> Void
    ) {
        api = API(
            client: client, workflows: workflows, gate: LoopbackGate(user: user),
            live: LiveHistories(client: client, logger: logger), now: { Timestamp(Date()) }, logger: logger)
        self.port = port
        self.onListening = onListening
    }

    /// Answers until it is shut down.
    ///
    /// - Throws: `PerdureError` with `configuration_invalid` if the port cannot be listened on.
    package func run() async throws {
        try await listen(
            onListening, orSay: "Nothing can be served at 127.0.0.1:\(port). Give another port, or end what uses this one."
        ) { try await serve($0) }
    }

    private func serve(_ onListening: @escaping @Sendable (Int) async -> Void) async throws {
        let application = Application(
            responder: APIResponder(api), server: .http1(configuration: .perdure),
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

/// The routes of the API, and a problem document for every other address.
struct APIResponder: HTTPResponder {
    typealias Context = APIContext
    private let router: any HTTPResponder<APIContext>

    init(_ api: API) {
        let router = Router(context: APIContext.self, options: .autoGenerateHeadEndpoints)
        api.addRoutes(to: router)
        self.router = router.buildResponder()
    }

    @concurrent func respond(to request: Request, context: APIContext) async throws -> Response {
        var response = try await router.respond(to: request, context: context)
        // The router answers with nothing of ours where there is no route.
        if response.status == .notFound, response.headers[.contentType] != Problem.mediaType {
            response = Response(
                Problem(.notFound, "address_unknown", "There is nothing at this address; /openapi.json lists what there is."))
        }
        return request.method == .head ? response.createHeadResponse() : response
    }
}
