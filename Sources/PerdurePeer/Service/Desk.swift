import Hummingbird

/// Where requests are served: understood, admitted by the ledger, and answered as the behaviour wants it.
final class Desk: Sendable {
    let ledger: PeerLedger
    /// Opened whenever a request was committed or began to be held.
    let changes = Gate()
    private let pause: @Sendable (Duration) async throws -> Void
    private let keys = KeysInProgress()
    private let holds: [PeerOperation: Gate]

    /// What a route makes of a request.
    struct Order {
        /// What it is about.
        var resource: String
        /// What makes it legitimately another effect on the same resource.
        var distinction = ""
        /// What else it says, in a fixed order, for the digest.
        var facts: [String] = []
        /// What it does to the world.
        var work: Errand.Work
    }

    init(ledger: PeerLedger, pause: @escaping @Sendable (Duration) async throws -> Void) {
        self.ledger = ledger
        self.pause = pause
        holds = Dictionary(uniqueKeysWithValues: PeerOperation.allCases.map { ($0, Gate()) })
    }

    // MARK: Control

    /// Lets the held requests of these operations go on.
    ///
    /// - Returns: How many were held.
    @discardableResult func release(_ selector: OperationSelector) -> Int {
        let gates = selector.operations.compactMap { holds[$0] }
        let held = gates.reduce(0) { $0 + $1.waiting }
        for gate in gates { gate.open() }
        return held
    }

    /// How many requests of these operations, or of all, are held.
    func held(_ selector: OperationSelector?) -> Int {
        (selector?.operations ?? PeerOperation.allCases).reduce(0) { $0 + (holds[$1]?.waiting ?? 0) }
    }

    // MARK: Serving

    /// Serves one request of an operation.
    ///
    /// - Parameter understand: Reads the request; the problem it throws is the answer.
    func serve(
        _ operation: PeerOperation, _ request: Request, _ context: PeerContext,
        _ understand: @Sendable (Incoming) throws -> Order
    ) async throws -> Response {
        var request = request
        let errand = try await errand(operation, &request, context, understand)
        // The ticket is older than the commit: who sees the request in the ledger can release it, held already or not.
        let ticket = holds[operation]?.ticket()
        let claimed = errand.key.map { keys.claim($0) }
        defer { if claimed == true, let key = errand.key { keys.release(key) } }

        let admission = try await ledger.admit(errand, inProgress: claimed == false)
        changes.open()
        let answer = try admission.result.get()
        let lingers = admission.after.held || admission.after.delayMilliseconds > 0
        if lingers { try await linger(admission.after, ticket, operation, request) }
        let response: Response
        switch admission.after.ending {
        case .answer:
            response = Response(json: answer.json, status: answer.status)
        case .fail:
            response = try Response(Problem.failedAfterEffect)
        case .drop:
            try await context.hangUp()
            // Nobody will see it: the connection is gone.
            response = try Response(Problem.failedAfterEffect)
        }
        return lingers ? response.closingConnection() : response
    }

    private func errand(
        _ operation: PeerOperation, _ request: inout Request, _ context: PeerContext,
        _ understand: @Sendable (Incoming) throws -> Order
    ) async throws -> Errand {
        let key = request.headers.value(of: "idempotency-key")
        let attempt = request.headers.value(of: "perdure-attempt")
        do {
            let body = try await request.collectedBody()
            if let key, !(1...255).contains(key.utf8.count) {
                throw Problem.malformed("an Idempotency-Key has 1 to 255 bytes")
            }
            let order = try understand(Incoming(request, context, body: body))
            return Errand(
                operation: operation, resource: order.resource, distinction: order.distinction,
                digest: BodyDigest([operation.rawValue, order.resource, order.distinction] + order.facts),
                key: operation.isRead ? nil : key, attempt: attempt, work: order.work)
        } catch let problem as Problem {
            try await ledger.note(unreadable: problem, operation, key: key, attempt: attempt)
            changes.open()
            throw problem
        }
    }

    /// Waits as the behaviour wants it, or until the caller is gone: what is held must not outlive a killed engine,
    /// whose next request with the same key would find the key in progress.
    private func linger(
        _ after: Decision.After, _ ticket: Gate.Ticket?, _ operation: PeerOperation, _ request: Request
    ) async throws {
        try await request.body.consumeWithCancellationOnInboundClose { _ in
            if after.delayMilliseconds > 0 { try await self.pause(.milliseconds(after.delayMilliseconds)) }
            if after.held, let ticket, let gate = self.holds[operation] {
                try await gate.pass(ticket) { self.changes.open() }
            }
        }
    }
}
