internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import ServiceLifecycle

/// The HTTP API over one store: what the table of operations says, and nothing else.
struct API: Sendable {
    let client: Client
    let workflows: WorkflowRegistry?
    let gate: any Gate
    let live: LiveHistories
    let now: @Sendable () -> Timestamp
    let logger: Logger
    /// Where webhooks may be sent.
    var hookTargets = HookTargets.everybodys

    /// The largest value, and what may stand beside it.
    private static let bodyLimit = Payload.defaultLimit + 65_536
    private static let keyField = HTTPField.Name("Idempotency-Key")

    func addRoutes(to router: Router<APIContext>) {
        for (path, operations) in Dictionary(grouping: Operation.all, by: \.path) {
            for operation in operations {
                router.on(RouterPath(path), method: operation.method.http) { request, context in
                    await respond(to: request, context, operation)
                }
            }
            let known = operations.map(\.method.http)
            for method in Self.methods where !known.contains(method) {
                router.on(RouterPath(path), method: method) { _, _ in Response(Self.notAllowed(known)) }
            }
        }
    }

    /// Those of HTTP but HEAD, which is answered wherever GET is, and QUERY: what is not registered would be answered as if the path were
    /// unknown.
    private static let methods: [HTTPRequest.Method] =
        [.get, .post, .put, .delete, .patch, .options, .trace] + [HTTPRequest.Method("QUERY")].compactMap(\.self)

    private static func notAllowed(_ known: [HTTPRequest.Method]) -> Problem {
        let list = (known + (known.contains(.get) ? [.head] : [])).map(\.rawValue).sorted().joined(separator: ", ")
        var problem = Problem(.methodNotAllowed, "method_not_allowed", "This address knows \(list) only.")
        problem.headers[.allow] = list
        return problem
    }

    // MARK: One request

    private func respond(to request: Request, _ context: APIContext, _ operation: Operation) async -> Response {
        do {
            let answer = try await answer(to: request, context, operation)
            var headers = answer.headers
            headers[.cacheControl] = headers[.cacheControl] ?? "no-store"
            switch answer.content {
            case .nothing: return Response(status: answer.status, headers: headers)
            case .json(let body):
                headers[.contentType] = headers[.contentType] ?? "application/json"
                return Response(
                    status: answer.status, headers: headers,
                    body: .init(byteBuffer: ByteBuffer(string: body.canonicalText + "\n")))
            case .stream(let stream):
                headers[.contentType] = EventStream.mediaType
                return Response(status: answer.status, headers: headers, body: stream.body(for: request, over: context.channel))
            }
        } catch let problem as Problem {
            return Response(problem)
        } catch let error as PerdureError {
            let problem = Problem(error)
            guard problem.status.kind == .serverError else { return Response(problem) }
            tell(error, "\(error.code)", operation, context)
            return Response(problem.withoutDetails)
        } catch is CancellationError {
            return Response(Problem(.serviceUnavailable, "ending", "The server ends; ask again when it is back."))
        } catch {
            tell(error, "internal", operation, context)
            return Response(.internalError)
        }
    }

    private func tell(_ error: any Error, _ code: String, _ operation: Operation, _ context: APIContext) {
        logger.error(
            "a request failed",
            metadata: ["operation": "\(operation.id)", "code": "\(code)", "error": "\(error)", "request": "\(context.id)"])
    }

    private func answer(to request: Request, _ context: APIContext, _ operation: Operation) async throws -> Answer {
        let path = try pathValues(context, operation)
        if operation.isSigned { return try await takeIn(request, operation, path) }
        let isOpen = operation.right == .none && !gate.trustsThisMachine
        let caller = isOpen ? .nobody : try await gate.caller(of: request, over: context.channel, by: .api)
        do {
            return try await answer(to: request, operation, path, caller)
        } catch let problem as Problem where problem.status == .forbidden {
            await refusals.record(caller, operation.id, of: path["run"], in: path["namespace"], problem)
            throw problem
        } catch let error as PerdureError where Problem.status(error.code) == .forbidden {
            await refusals.record(caller, operation.id, of: path["run"], in: path["namespace"], Problem(error))
            throw error
        }
    }

    private func answer(
        to request: Request, _ operation: Operation, _ path: [String: String], _ caller: Caller
    ) async throws -> Answer {
        try caller.require(operation.right, in: path["namespace"])
        let query = try Query(request.uri.query, operation.query)
        let body = try await body(of: request, operation)
        let key = try key(of: request, operation)
        let call = Call(
            client: try path["namespace"].map { try client.confined(to: $0) } ?? client, control: client,
            caller: caller.principal, rights: caller.rights, workflows: workflows, live: live, now: now,
            hooks: hooks, hookTargets: hookTargets, path: path, query: query,
            body: body,
            messageID: key.map { Self.messageID($0, caller.principal) },
            lastEventID: try lastEventID(of: request, operation))
        // Whoever waits for something does not hold up the end of the server.
        return try await cancelWhenGracefulShutdown {
            guard let id = call.messageID else { return try await operation.answer(call) }
            return try await records.answer(id, digest: Self.digest(operation, call), of: operation) {
                try await operation.answer(call)
            }
        }
    }

    var sweep: ControlSweep { ControlSweep(client: client, now: now, logger: logger) }

    private var refusals: Refusals { Refusals(client: client, now: now, logger: logger) }

    private var records: RequestRecords { RequestRecords(client: client, now: now) }

    /// What tells one request from another: what is asked for, of what, and with what.
    private static func digest(_ operation: Operation, _ call: Call) -> String {
        let path = call.path.sorted { $0.key < $1.key }.map { JSONValue.string($0.value) }
        let asked: JSONValue = [.string(operation.id), .array(path), call.body]
        return Hex.encode(SaltedDigest.plain(asked.canonicalBytes))
    }

    /// Where whoever follows events was when the connection broke off, as browsers say by themselves.
    private func lastEventID(of request: Request, _ operation: Operation) throws(Problem) -> Int64? {
        guard operation.isFollowed, let name = EventStream.lastEventID, let text = request.headers[name] else { return nil }
        guard let seq = Int64(text), seq >= 0 else {
            let wish = "has to be the number of an event"
            throw Problem(
                .badRequest, "last_event_id_invalid", "'\(name)' \(wish).", flaws: [Flaw(place: "\(name)", wish: wish)])
        }
        return seq
    }

    private func pathValues(_ context: APIContext, _ operation: Operation) throws(Problem) -> [String: String] {
        var values: [String: String] = [:]
        for (name, rule) in operation.pathParameters {
            guard let text = context.parameters.get(name).flatMap({ Query.decoded($0) }), rule.fits(text) else {
                throw Problem(
                    .badRequest, "path_invalid", "'\(name)' in the address \(rule.wish).",
                    flaws: [Flaw(place: name, wish: rule.wish)])
            }
            values[name] = text
        }
        return values
    }

    // MARK: What comes with it

    private func body(of request: Request, _ operation: Operation) async throws -> JSONValue {
        guard let schema = operation.body else { return .null }
        guard let type = request.headers[.contentType].flatMap({ MediaType(from: $0) }), type.isType(.applicationJson) else {
            throw Problem(.unsupportedMediaType, "media_type_unsupported", "Send the body as 'Content-Type: application/json'.")
        }
        var problem = Problem(
            .contentTooLarge, "payload_too_large",
            "The body has more than \(Self.bodyLimit) bytes, which is the most there may be.")
        // What is left of it is not read.
        problem.headers[.connection] = "close"
        guard let bytes = try await request.bytes(atMost: Self.bodyLimit) else { throw problem }
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes, what: "the body")
        } catch {
            throw Problem(.badRequest, "body_invalid", "The body is not JSON: \(error.fault).")
        }
        let flaws = schema.flaws(in: value)
        guard flaws.isEmpty else {
            let sentence = flaws.prefix(3).map { "'\($0.place)' \($0.wish)" }.joined(separator: "; ")
            throw Problem(.badRequest, "body_invalid", "The body is not as it has to be: \(sentence).", flaws: flaws)
        }
        return value
    }

    /// The `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a structured-field string.
    private func key(of request: Request, _ operation: Operation) throws(Problem) -> String? {
        guard operation.needsKey, let name = Self.keyField else { return nil }
        let fields = request.headers[values: name]
        guard !fields.isEmpty else {
            throw Problem(
                .badRequest, "idempotency_key_missing",
                "Send an 'Idempotency-Key' of your own, such as \"8e03978e-40d5-43dd-bc93-6894a57f9324\" with its quotes, and the same one "
                    + "when you repeat this request.",
                flaws: [Flaw(place: "Idempotency-Key", wish: "is missing")])
        }
        let wish = "has to be one text of 1 to 128 printable characters in double quotes, without '\"' and '\\' in it"
        guard fields.count == 1, let field = fields.first, Self.isKey(field) else {
            throw Problem(
                .badRequest, "idempotency_key_invalid", "The 'Idempotency-Key' \(wish).",
                flaws: [Flaw(place: "Idempotency-Key", wish: wish)])
        }
        return String(field.dropFirst().dropLast())
    }

    static let keyPattern = "^\"[ !#-\\[\\]-~]{1,128}\"$"

    private static func isKey(_ field: String) -> Bool {
        guard field.utf8.count >= 3, field.utf8.count <= 130, field.hasPrefix("\""), field.hasSuffix("\"") else { return false }
        return field.utf8.dropFirst().dropLast().allSatisfy {
            (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
    }

    /// The key of one caller is not that of another one.
    private static func messageID(_ key: String, _ caller: Principal) -> String {
        "http:\(Hex.encode(SaltedDigest.plain(Array("\(caller.id)\u{0}\(key)".utf8)).prefix(16)))"
    }
}
