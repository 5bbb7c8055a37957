import Foundation
import Perdure

/// A client of the other side, as a step uses one: each request carries the step's idempotency key and its attempt, ends with the
/// attempt's deadline, and fails with an error that says what it means for the effect.
public struct PeerClient: Sendable {
    private let address: String
    private let transport: any PeerTransport

    /// - Parameter address: Where the other side listens, such as `http://127.0.0.1:8080`.
    public init(address: String, transport: any PeerTransport = HTTPTransport()) {
        self.address = address
        self.transport = transport
    }

    /// Asks for something to be done.
    func post<Answer: Decodable>(
        _ path: String, _ body: some Encodable, _ step: StepContext, as type: Answer.Type = Answer.self
    ) async throws -> Answer {
        try await call("POST", path, JSONEncoder().encode(body), step)
    }

    /// Asks for something to be removed.
    func delete<Answer: Decodable>(_ path: String, _ step: StepContext, as type: Answer.Type = Answer.self) async throws -> Answer
    {
        try await call("DELETE", path, nil, step)
    }

    /// Only looks.
    func get<Answer: Decodable>(_ path: String, _ step: StepContext, as type: Answer.Type = Answer.self) async throws -> Answer {
        try await call("GET", path, nil, step)
    }

    private func call<Answer: Decodable>(_ method: String, _ path: String, _ body: Data?, _ step: StepContext) async throws
        -> Answer
    {
        var headers = [(name: "Perdure-Attempt", value: "\(step.attempt)")]
        if method != "GET" { headers.append(("Idempotency-Key", step.idempotencyKey)) }
        if body != nil { headers.append(("Content-Type", "application/json")) }
        let reply: PeerReply
        do {
            reply = try await transport.send(
                PeerCall(method: method, path: path, headers: headers, body: body, deadline: step.deadline), to: address)
        } catch {
            throw PeerFailure.noAnswer(error)
        }
        guard (200..<300).contains(reply.status) else {
            throw PeerFailure.refused(reply.status, Self.reason(reply.body), retryAfter: reply.retryAfter)
        }
        do {
            return try JSONDecoder().decode(Answer.self, from: reply.body)
        } catch {
            // It was done; only what it came to cannot be read.
            throw PeerFailure.noAnswer(error)
        }
    }

    private struct Problem: Decodable { let detail: String }

    private static func reason(_ body: Data) -> String {
        (try? JSONDecoder().decode(Problem.self, from: body).detail) ?? "no reason given"
    }

    /// A value as a part of a path or of a query.
    static func escaped(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }
}

/// An answer that nobody needs.
struct Ignored: Decodable {}
