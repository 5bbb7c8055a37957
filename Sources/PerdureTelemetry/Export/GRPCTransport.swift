internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix

/// Calls `Export` of one signal's service.
struct GRPCTransport: OTLPTransport {
    private let endpoint: OTLPConfiguration.Endpoint
    private let method: MethodDescriptor
    private let client: GRPCClient<HTTP2ClientTransport.Posix>

    init(_ endpoint: OTLPConfiguration.Endpoint, _ signal: TelemetrySignal) throws {
        self.endpoint = endpoint
        method = MethodDescriptor(fullyQualifiedService: signal.service, method: "Export")
        let url = URLComponents(string: endpoint.url)
        let host = (url?.host ?? "localhost").trimmingCharacters(in: ["[", "]"])
        client = GRPCClient(
            transport: try .http2NIOPosix(
                target: .dns(host: host, port: url?.port ?? 4317),
                transportSecurity: url?.scheme?.lowercased() == "http" ? .plaintext : .tls))
    }

    func send(_ request: [UInt8]) async -> OTLPReply {
        var metadata = Metadata(), options = CallOptions.defaults
        for (name, value) in endpoint.headers { metadata.addString(value, forKey: name) }
        options.timeout = endpoint.timeout
        // A receiver that is down is told at once: whoever sends knows when to try again.
        options.waitForReady = false
        do {
            let answer = try await client.unary(
                request: ClientRequest(message: request, metadata: metadata), descriptor: method, serializer: RawBytes(),
                deserializer: RawBytes(), options: options
            ) { response in try response.message }
            return .taken(answer)
        } catch let error as RPCError {
            return Self.reply(error)
        } catch {
            return .notNow("no answer (\(type(of: error)))")
        }
    }

    func run() async { try? await client.runConnections() }

    func close() async { client.beginGracefulShutdown() }

    /// The rules of OTLP over gRPC.
    static func reply(_ error: RPCError) -> OTLPReply {
        let reason = "\(error.code)\(error.message.isEmpty ? "" : ": \(error.message.prefix(200))")"
        let details = error.metadata[binaryValues: "grpc-status-details-bin"].first { _ in true }
        let delay = details.flatMap { try? ErrorResponse($0) }?.retryDelay
        switch error.code {
        case .cancelled, .deadlineExceeded, .aborted, .outOfRange, .unavailable, .dataLoss: return .notNow(reason, after: delay)
        case .resourceExhausted: return delay.map { .notNow(reason, after: $0) } ?? .refused(reason)
        default: return .refused(reason)
        }
    }
}

/// Messages as they are: written and read elsewhere.
private struct RawBytes: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}
