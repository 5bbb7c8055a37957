internal import Foundation
package import Logging
internal import Perdure
package import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle

/// Makes deliveries of what happens, and sends what is due to endpoints, as long as it runs. Several processes may do it beside each
/// other: each takes a delivery before it tries. What was under way when one ends, or dies, is tried again; so an endpoint may hear of an
/// event more than once, under one id.
package struct HookSender: Service {
    /// How many exchanges may be under way at once, with one endpoint and with all.
    static let mostAtOnce = 4, mostInAll = 32
    private static let pause = Duration.seconds(1)
    /// After so many deliveries another endpoint may have the place.
    private static let turn = 20
    /// How many of what is due are looked at for one endpoint at a time.
    private static let lookLimit = 16

    let store: HookStore
    let poster: HookPoster
    let logger: Logger
    /// What makes deliveries of what happens; nil if somebody else does.
    private let follower: HistoryFollower?
    private let traffic = HookTraffic()
    private let metrics = HookMetrics()

    /// - Parameters:
    ///   - client: Of the whole store.
    ///   - targets: Where endpoints may be.
    /// - Throws: `PerdureError` with `usage` for a client that is confined to a namespace.
    package init(client: Client, targets: HookTargets, logger: Logger) throws {
        let store = HookStore(client: client) { client.store.now() }, maker = HookMaker(store: store)
        let follower = try HistoryFollower("webhooks", client: client, logger: logger) { run, events in
            try await maker.make(
                of: events.map { HookNews(namespace: run.namespace, run: run.id, workflow: run.workflow, event: $0) })
        }
        self.init(store, HookPoster(targets: targets), follower, logger: logger)
    }

    init(_ store: HookStore, _ poster: HookPoster, _ follower: HistoryFollower? = nil, logger: Logger) {
        self.store = store
        self.poster = poster
        self.follower = follower
        self.logger = logger
    }

    /// Sends until it is shut down, or cancelled.
    package func run() async throws {
        try? await cancelWhenGracefulShutdown {
            try await withThrowingDiscardingTaskGroup { group in
                if let follower { group.addTask { await follower.run() } }
                while true {
                    for lane in await lanes() { group.addTask { await work(lane) } }
                    try await Task.sleep(for: Self.pause)
                }
            }
        }
    }

    /// Sends everything that is due now.
    func pass() async {
        await withDiscardingTaskGroup { group in
            for lane in await lanes() { group.addTask { await work(lane) } }
        }
    }

    // MARK: Who has a turn

    /// The endpoints that have something due, each as often as it may have a place now. Whoever gets one gives it back.
    private func lanes() async -> [Endpoint] {
        var lanes: [Endpoint] = []
        do {
            var due = 0, earliest: Timestamp?
            for held in try await store.all(Endpoint.kind, as: Endpoint.self).shuffled() {
                let endpoint = held.record
                if endpoint.removed != nil {
                    try await forget(held)
                    continue
                }
                let now = store.now()
                let deliveries = try await store.due(endpoint.deliveries, by: now, limit: Self.lookLimit, as: HookDelivery.self)
                guard !deliveries.isEmpty else { continue }
                let pending = deliveries.filter { $0.record.state == .pending }
                if endpoint.isTold {
                    due += pending.count
                    earliest = (pending.compactMap(\.record.due) + [earliest].compactMap(\.self)).min()
                }
                for _ in 0..<min(deliveries.count, Self.mostAtOnce) where traffic.enter(endpoint.id) { lanes.append(endpoint) }
            }
            metrics.record(due: due, late: earliest.map { store.now().duration(since: $0) } ?? .zero)
            traffic.note(isBlind: false)
            return lanes
        } catch {
            for lane in lanes { traffic.leave(lane.id) }
            if !Task.isCancelled, traffic.note(isBlind: true) {
                logger.error("webhooks that are due cannot be looked up; trying again", metadata: ["error": "\(error)"])
            }
            return []
        }
    }

    /// What is left of an endpoint that was removed, and in the end its row.
    private func forget(_ held: Held<Endpoint>) async throws {
        try await store.clear(held.record.deliveries)
        if held.record.due.map({ $0 <= store.now() }) ?? false { try await store.remove(held) }
    }

    private func work(_ endpoint: Endpoint) async {
        defer { traffic.leave(endpoint.id) }
        do {
            for _ in 0..<Self.turn where !Task.isCancelled {
                guard let delivery = try await take(from: endpoint) else { return }
                try await send(delivery)
            }
        } catch {
            if !Task.isCancelled {
                logger.warning(
                    "a webhook could not be recorded; it is tried again",
                    metadata: ["endpoint": "\(endpoint.id)", "namespace": "\(endpoint.namespace)", "error": "\(error)"])
            }
        }
    }

    // MARK: One delivery

    /// The next delivery that is due, which nobody else tries now; nil if there is none.
    private func take(from endpoint: Endpoint) async throws -> Held<HookDelivery>? {
        let now = store.now()
        var isAgain = true
        while isAgain {
            // Behind what is only to be forgotten there may be something to send.
            isAgain = false
            for held in try await store.due(endpoint.deliveries, by: now, limit: Self.lookLimit, as: HookDelivery.self) {
                if held.record.isForgotten(at: now) {
                    try await store.remove(held)
                    isAgain = true
                    continue
                }
                var delivery = held.record
                guard endpoint.isTold else {
                    // It waits for its endpoint to be enabled, but not for ever.
                    if now.duration(since: delivery.made) > HookDelivery.failedKeptFor { try await store.remove(held) }
                    continue
                }
                delivery.take(by: UUID().uuidString, at: now)
                if let taken = try await store.write(delivery, on: held) { return taken }
            }
        }
        return nil
    }

    private func send(_ held: Held<HookDelivery>) async throws {
        var delivery = held.record
        // It may have been changed, disabled or removed since the last look.
        guard let endpoint = try await store.read(Endpoint.key(delivery.namespace, delivery.endpoint), as: Endpoint.self)?.record,
            endpoint.isTold
        else {
            delivery.giveBack(at: store.now())
            _ = try await store.write(delivery, on: held)
            return
        }
        let outcome: HookOutcome
        do {
            outcome = try await post(delivery, to: endpoint)
        } catch {
            delivery.giveBack(at: store.now())
            _ = try await store.write(delivery, on: held)
            throw error
        }
        metrics.count(outcome)
        delivery.finish(outcome, at: store.now(), jitter: .random(in: 0...1))
        if delivery.state == .failed { metrics.countGivenUp() }
        // Where somebody else has taken it since, because this took longer than a lease, what he finds counts.
        _ = try await store.write(delivery, on: held)
        try await note(outcome, of: endpoint)
    }

    private func post(_ delivery: HookDelivery, to endpoint: Endpoint) async throws -> HookOutcome {
        let now = store.now(), body = Array(delivery.body.utf8), time = now.microseconds / 1_000_000
        let fields = [
            ("content-type", "application/json"), ("user-agent", "perdure"), ("webhook-id", delivery.id),
            ("webhook-timestamp", String(time)),
            (
                "webhook-signature",
                WebhookSignature.field(id: delivery.id, time: time, body: body, secrets: endpoint.secrets.holding(at: now))
            ),
        ]
        return try await poster.post(body, fields, to: endpoint.address, number: delivery.tries)
    }

    private func note(_ outcome: HookOutcome, of endpoint: Endpoint) async throws {
        // Nearly always it changes nothing, and then nobody writes.
        var seen = endpoint
        guard seen.note(outcome, at: store.now()) else { return }
        var isDisabled = false
        _ = try await store.change(endpoint.key, as: Endpoint.self) { current in
            // What the place before has answered says nothing of the one that it has now.
            let changes = current.address == endpoint.address && current.note(outcome, at: store.now())
            isDisabled = changes && current.disabled != nil
            return changes
        }
        if isDisabled {
            logger.warning(
                "an endpoint of webhooks was disabled",
                metadata: [
                    "endpoint": "\(endpoint.id)", "namespace": "\(endpoint.namespace)", "reason": "\(outcome.text)",
                ])
        }
    }
}
