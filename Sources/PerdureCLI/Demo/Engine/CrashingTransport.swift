import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import PerdureExamples

/// HTTP that tells a crash switch when a request is on the wire and when its answer is here.
///
/// Without defences it also forgets every idempotency key, and finds nothing when a probe looks: the engine then repeats what it
/// should not, and the peer's counts must show it.
struct CrashingTransport: PeerTransport {
    let crash: CrashSwitch
    let isDefended: Bool

    func send(_ call: PeerCall, to address: String) async throws -> PeerReply {
        var call = call
        if !isDefended {
            call.headers.removeAll { $0.name == "Idempotency-Key" }
            if call.method == "GET" { return Self.nothingFound(call) }
        }
        let name = "\(call.method) \(call.path)"
        var request = try HTTPClient.Request(url: address + call.path, method: HTTPMethod(rawValue: call.method))
        for header in call.headers { request.headers.add(name: header.name, value: header.value) }
        if let body = call.body { request.body = .bytes(Array(body)) }
        let left = max(call.deadline.timeIntervalSinceNow, 0.001)
        let task = HTTPClient.shared.execute(
            request: request, delegate: Watcher(name: name, crash: crash),
            deadline: .now() + .milliseconds(Int64(min(left, 86_400) * 1_000)))
        return try await withTaskCancellationHandler {
            try await task.futureResult.get()
        } onCancel: {
            task.cancel()
        }
    }

    private static func nothingFound(_ call: PeerCall) -> PeerReply {
        if call.path.hasPrefix("/payments") { return PeerReply(status: 200, body: Data(#"{"charges":[]}"#.utf8)) }
        if call.path.hasPrefix("/directory") { return PeerReply(status: 200, body: Data(#"{"accounts":[]}"#.utf8)) }
        return PeerReply(status: 404)
    }

    /// Gathers the answer.
    ///
    /// `@unchecked` because the HTTP client calls it from one event loop at a time.
    private final class Watcher: HTTPClientResponseDelegate, @unchecked Sendable {
        private let name: String
        private let crash: CrashSwitch
        private var reply = PeerReply(status: 0)

        init(name: String, crash: CrashSwitch) {
            self.name = name
            self.crash = crash
        }

        func didSendRequest(task: HTTPClient.Task<PeerReply>) { crash.pass(.sent, name) }

        func didReceiveHead(task: HTTPClient.Task<PeerReply>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
            reply.status = Int(head.status.code)
            reply.retryAfter = head.headers.first(name: "Retry-After").flatMap { Int($0) }
            return task.eventLoop.makeSucceededVoidFuture()
        }

        func didReceiveBodyPart(task: HTTPClient.Task<PeerReply>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
            reply.body.append(contentsOf: buffer.readableBytesView)
            return task.eventLoop.makeSucceededVoidFuture()
        }

        func didFinishRequest(task: HTTPClient.Task<PeerReply>) throws -> PeerReply {
            if reply.status == 200 { crash.pass(.answered, name) }
            return reply
        }
    }
}
