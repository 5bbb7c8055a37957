import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Synchronization
import Testing

@testable import PerdureServer

/// The other side of a webhook: a server of its own, which keeps what it hears and answers as it is told.
final class HookReceiver: Sendable {
    struct Heard: Sendable {
        let headers: HTTPFields
        let body: [UInt8]

        func field(_ name: String) -> String { HTTPField.Name(name).flatMap { headers[$0] } ?? "" }
        var json: JSONValue { (try? JSONValue.parse(body, what: "a body")) ?? .null }

        /// Whether it is signed with the secret, at this time.
        func isSigned(_ secret: HookSecret, _ now: Timestamp) -> Bool {
            WebhookSignature.isValid(
                field("webhook-signature"), id: field("webhook-id"), time: field("webhook-timestamp"), body: body,
                secrets: [secret], now: now)
        }
    }

    private let all = Mutex<[Heard]>([])
    private let bells = Mutex<[CheckedContinuation<Void, Never>]>([])
    let address: String
    let port: Int

    fileprivate init(address: String, port: Int) {
        self.address = address
        self.port = port
    }

    var heard: [Heard] { all.withLock { $0 } }

    fileprivate func hear(_ heard: Heard) {
        all.withLock { $0.append(heard) }
        for bell in bells.withLock({ bells in
            defer { bells = [] }; return bells
        }) { bell.resume() }
    }

    /// Waits until so many requests have come.
    func until(_ count: Int) async {
        while heard.count < count {
            await withCheckedContinuation { continuation in
                bells.withLock { $0.append(continuation) }
                if heard.count >= count {
                    for bell in bells.withLock({ bells in
                        defer { bells = [] }; return bells
                    }) { bell.resume() }
                }
            }
        }
    }
}

/// Serves while the body works.
func receiving(
    host: String = "127.0.0.1", port: Int = 0,
    answer: @escaping @Sendable (HookReceiver.Heard) async throws -> Response = { _ in Response(status: .ok) },
    _ body: @Sendable @escaping (HookReceiver) async throws -> Void
) async throws {
    let receiver = Mutex<HookReceiver?>(nil)
    let router = Router(context: APIContext.self)
    router.post("**") { request, _ in
        let heard = HookReceiver.Heard(
            headers: request.headers, body: Array(try await request.body.collect(upTo: 1 << 20).readableBytesView))
        receiver.withLock { $0 }?.hear(heard)
        return try await answer(heard)
    }
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    let application = Application(
        responder: router.buildResponder(), configuration: .init(address: .hostname(host, port: port)),
        onServerRunning: { continuation.yield($0.localAddress?.port ?? 0) },
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try await withThrowingTaskGroup { group in
        group.addTask { try await application.run() }
        guard let port = await ports.first(where: { _ in true }) else { throw Missing(text: "a port") }
        let made = HookReceiver(address: "http://\(host):\(port)/hook", port: port)
        receiver.withLock { $0 = made }
        group.addTask { try await body(made) }
        // The server goes on until it is told to end.
        try await group.next()
        group.cancelAll()
        try? await group.waitForAll()
    }
}

/// Ends when its task is cancelled.
func forever() async throws {
    let (nothing, continuation) = AsyncStream.makeStream(of: Void.self)
    for await _ in nothing {}
    continuation.finish()
    throw CancellationError()
}

/// A clock that is set.
final class HookClock: Sendable {
    private let time = Mutex(Timestamp(microseconds: 1_800_000_000_000_000))
    var now: Timestamp { time.withLock { $0 } }
    func pass(_ duration: Duration) { time.withLock { $0 = $0 + duration } }
}

/// Rows of webhooks in a store of their own, a clock that is set, and senders as several processes would have them.
struct HookBench: Sendable {
    let client: Client
    let clock = HookClock()

    var store: HookStore { HookStore(client: client) { [clock] in clock.now } }
    var maker: HookMaker { HookMaker(store: store) }

    func sender(
        _ targets: HookTargets = .desk, patience: Duration = HookPoster.patience,
        addresses: (@Sendable (String) async throws -> [IPAddress])? = nil
    ) -> HookSender {
        var poster = HookPoster(targets: targets)
        poster.patience = patience
        if let addresses { poster.addresses = addresses }
        return HookSender(store, poster, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @discardableResult
    func endpoint(
        at url: String, id: String = "ep-1", namespace: String = "default", events: [HookEvent] = HookEvent.allCases,
        workflow: String? = nil
    ) async throws -> Endpoint {
        let endpoint = Endpoint(
            namespace: namespace, id: id, address: try HookAddress(url), events: events, workflow: workflow,
            secrets: HookSecrets(.random()), made: clock.now, maker: ada)
        _ = try #require(try await store.write(endpoint, on: nil))
        return endpoint
    }

    func endpoint() async throws -> Endpoint {
        try #require(try await store.read(Endpoint.key("default", "ep-1"), as: Endpoint.self)).record
    }

    func deliveries(of id: String = "ep-1") async throws -> [HookDelivery] {
        try await store.page(HookDelivery.kind(of: id), in: "default", after: nil, limit: 100, as: HookDelivery.self).records.map(
            \.record)
    }

    /// An event as a history has it.
    func news(
        _ kind: EventKind = .runCompleted, seq: Int64 = 7, run: String = "01a20800-0000-7000-8000-000000000001",
        workflow: String = "greet", subject: String = "", attributes: Attributes = .none, namespace: String = "default"
    ) throws -> HookNews {
        let hash = try #require(EventHash(Array(repeating: UInt8(truncatingIfNeeded: seq), count: 32)))
        let input = StoredValue.inline(Array(#""secret input""#.utf8))
        return HookNews(
            namespace: namespace, run: try #require(RunID(run)), workflow: workflow,
            event: Event(
                seq: seq, at: clock.now, kind: kind, subject: subject, attributes: attributes, input: input, output: input,
                codec: .canonicalJSON, keyID: nil, hash: hash))
    }
}

/// Gives the body a bench over a new store.
func atBench(_ body: @Sendable @escaping (HookBench) async throws -> Void) async throws {
    try await withFolder { folder in
        let store = StoreConfiguration.sqlite(folder.appending(path: "hooks.db").path)
        try await hosting(store) { engine in try await body(HookBench(client: engine.client)) }
    }
}
