import Hummingbird

/// The control API: what the peer counted, and how it is to misbehave. It is itself never counted.
struct ControlRoutes {
    let desk: Desk
    let pause: @Sendable (Duration) async throws -> Void

    private struct Health: Encodable {
        let status = "ok"
    }

    private struct Done: Encodable {
        let done = true
    }

    private struct Released: Encodable {
        let released: Int
    }

    private struct Effects: Encodable {
        let effects: [PeerEffect]
    }

    private struct Requests: Encodable {
        let requests: [PeerRequest]
    }

    private struct UsesBody: Decodable {
        let uses: Int
    }

    private struct Progress: Encodable {
        let requests: Int
        let effects: Int
        let held: Int

        func reaches(requests: Int, effects: Int, held: Int) -> Bool {
            self.requests >= requests && self.effects >= effects && self.held >= held
        }
    }

    func add(to router: Router<PeerContext>) {
        let control = router.group("_peer")
        control.get("health") { _, _ in try json(Health()) }
        control.get("counts") { _, _ in try json(try await desk.ledger.counts()) }
        control.get("effects", use: effects)
        control.get("requests", use: requests)
        control.get("wait", use: wait)
        control.get("behaviour/:operation", use: behaviour)
        control.put("behaviour/:operation", use: setBehaviour)
        control.post("release/:operation", use: release)
        control.put("uses/:key", use: setUses)
        control.post("reset") { _, _ in
            try await desk.ledger.reset()
            return try json(Done())
        }
    }

    // MARK: Looking

    @Sendable private func effects(_ request: Request, _ context: PeerContext) async throws -> Response {
        let incoming = Incoming(request, context, body: ByteBuffer())
        let effects = try await desk.ledger.effects(of: selector(incoming), resource: incoming.queried("resource"))
        return try json(Effects(effects: effects))
    }

    @Sendable private func requests(_ request: Request, _ context: PeerContext) async throws -> Response {
        let incoming = Incoming(request, context, body: ByteBuffer())
        let requests = try await desk.ledger.requests(of: selector(incoming), resource: incoming.queried("resource"))
        return try json(Requests(requests: requests))
    }

    /// Answers as soon as there are at least as many requests, effects and held requests as asked for, or says 504
    /// after `milliseconds` (30 seconds unless told).
    @Sendable private func wait(_ request: Request, _ context: PeerContext) async throws -> Response {
        var request = request
        let incoming = Incoming(request, context, body: try await request.collectedBody())
        let selector = try selector(incoming)
        let requests = try incoming.count("requests") ?? 0
        let effects = try incoming.count("effects") ?? 0
        let held = try incoming.count("held") ?? 0
        let limit = Duration.milliseconds(try incoming.count("milliseconds") ?? 30_000)
        let progress = try await request.body.consumeWithCancellationOnInboundClose { _ in
            try await withThrowingTaskGroup(of: Progress.self) { group in
                group.addTask {
                    while true {
                        let ticket = desk.changes.ticket()
                        let progress = try await current(selector)
                        if progress.reaches(requests: requests, effects: effects, held: held) { return progress }
                        try await desk.changes.pass(ticket)
                    }
                }
                group.addTask {
                    try await pause(limit)
                    return try await current(selector)
                }
                defer { group.cancelAll() }
                guard let progress = try await group.next() else { throw CancellationError() }
                return progress
            }
        }
        guard progress.reaches(requests: requests, effects: effects, held: held) else {
            let detail = "requests: \(progress.requests), effects: \(progress.effects), held: \(progress.held)"
            return try Response(Problem(504, "Waited in vain", detail)).closingConnection()
        }
        return try json(progress).closingConnection()
    }

    private func current(_ selector: OperationSelector?) async throws -> Progress {
        let tally = try await desk.ledger.tally(of: selector)
        return Progress(requests: tally.requests, effects: tally.effects, held: desk.held(selector))
    }

    // MARK: Telling

    @Sendable private func behaviour(_ request: Request, _ context: PeerContext) async throws -> Response {
        let selector = try Self.selector(named: Incoming(request, context, body: ByteBuffer()).path("operation"))
        return try json(try await desk.ledger.behaviour(of: selector))
    }

    @Sendable private func setBehaviour(_ request: Request, _ context: PeerContext) async throws -> Response {
        var request = request
        let incoming = Incoming(request, context, body: try await request.collectedBody())
        let selector = try Self.selector(named: incoming.path("operation"))
        let behaviour = try incoming.body(Behaviour.self)
        try await desk.ledger.setBehaviour(behaviour, of: selector)
        return try json(behaviour)
    }

    @Sendable private func release(_ request: Request, _ context: PeerContext) async throws -> Response {
        let selector = try Self.selector(named: Incoming(request, context, body: ByteBuffer()).path("operation"))
        return try json(Released(released: desk.release(selector)))
    }

    @Sendable private func setUses(_ request: Request, _ context: PeerContext) async throws -> Response {
        var request = request
        let incoming = Incoming(request, context, body: try await request.collectedBody())
        let uses = try incoming.body(UsesBody.self).uses
        guard (0...1_000_000_000).contains(uses) else { throw Problem.unprocessable("\"uses\" must be a whole number from 0") }
        try await desk.ledger.setUses(uses, ofKey: incoming.path("key"))
        return try json(Done())
    }

    // MARK: Reading and writing

    private func json(_ value: some Encodable) throws -> Response {
        Response(json: try JSON.encode(value))
    }

    private func selector(_ incoming: Incoming) throws -> OperationSelector? {
        try incoming.queried("operation").map(Self.selector(named:))
    }

    private static func selector(named name: String) throws -> OperationSelector {
        guard let selector = OperationSelector(name) else {
            let names = PeerOperation.groups + PeerOperation.allCases.map(\.rawValue)
            throw Problem.missing("there is no operation \"\(name)\"; there are \(names.joined(separator: ", "))")
        }
        return selector
    }
}
