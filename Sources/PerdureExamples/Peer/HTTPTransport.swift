import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// HTTP over the process's shared client.
public struct HTTPTransport: PeerTransport {
    private static let bodyLimit = 1 << 20

    /// A transport; all of them share their connections.
    public init() {}

    public func send(_ call: PeerCall, to address: String) async throws -> PeerReply {
        var request = HTTPClientRequest(url: address + call.path)
        request.method = HTTPMethod(rawValue: call.method)
        for header in call.headers { request.headers.add(name: header.name, value: header.value) }
        if let body = call.body { request.body = .bytes(Array(body)) }
        let left = max(call.deadline.timeIntervalSinceNow, 0.001)
        let response = try await HTTPClient.shared.execute(request, timeout: .milliseconds(Int64(min(left, 86_400) * 1_000)))
        let body = try await response.body.collect(upTo: Self.bodyLimit)
        return PeerReply(
            status: Int(response.status.code), retryAfter: response.headers.first(name: "Retry-After").flatMap { Int($0) },
            body: Data(body.readableBytesView))
    }
}
