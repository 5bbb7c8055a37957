internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// What was asked for under each `Idempotency-Key`, in the store that all processes share: the same request is answered as it was, another
/// one under its key is refused, and of two at the same time one is done (draft-ietf-httpapi-idempotency-key-header).
///
/// A crash at any point: before the record nothing was begun. Between the record and its answer the request may have been done; it is taken
/// up again after `patience`, and every operation does under one message id what it does once. After the answer it is given again.
struct RequestRecords: Sendable {
    /// How long an answer is given again.
    static let keptFor = Duration.seconds(7 * 86_400)
    /// After how long nobody is believed to work on a request any more.
    static let patience = Duration.seconds(60)
    /// Of a longer answer nothing is kept: the same request does the same again.
    static let longestAnswer = 256 << 10
    static let kind = "requests"

    let client: Client
    let now: @Sendable () -> Timestamp

    /// Works on a request, unless it was answered before.
    ///
    /// - Parameters:
    ///   - id: The key, and whose it is.
    ///   - digest: Tells this request from others.
    /// - Throws: `Problem` with 422 if another request has the key, 409 if this one is being worked on, and what the work throws.
    func answer(
        _ id: String, digest: String, of operation: Operation, _ work: @Sendable () async throws -> Answer
    ) async throws -> Answer {
        let key = ControlKey(Self.kind, id), own = UUID().uuidString
        let held: ControlRow
        switch try await take(key, digest, own) {
        case .answered(let answer): return Answer(answer)
        case .taken(let row): held = row
        }
        do {
            let answer = try await work()
            try await finish(held, operation.keepsAnswer ? RecordedAnswer(answer) : nil)
            return answer
        } catch let problem as Problem {
            try await finish(held, RecordedAnswer(problem))
            throw problem
        } catch let error as PerdureError {
            try await finish(held, RecordedAnswer(Problem(error)))
            throw error
        } catch {
            try await finish(held, nil)
            throw error
        }
    }

    private enum Place {
        case answered(RecordedAnswer)
        case taken(ControlRow)
    }

    private func take(_ key: ControlKey, _ digest: String, _ own: String) async throws -> Place {
        let store = client.store
        // Whoever loses looks again, and finds what the other one has written.
        for _ in 0..<10 {
            let row = try await client.guarded { try await store.control(key) }
            let now = now()
            if let row, let record = RequestRecord(row.value), row.due.map({ $0 > now }) ?? true {
                guard record.digest == digest else {
                    throw Problem(
                        .unprocessableContent, "idempotency_key_reused",
                        "Another request was made under this Idempotency-Key. Nothing was done; use a new one for each wish.")
                }
                if let answer = record.answer { return .answered(answer) }
                guard now.duration(since: record.begun) >= Self.patience else {
                    var problem = Problem(
                        .conflict, "request_in_progress", "This request is being worked on. Ask again under the same key.")
                    problem.retryAfter = .seconds(1)
                    throw problem
                }
            }
            let record = RequestRecord(digest: digest, owner: own, begun: now)
            let change = ControlChange.put(key, on: row?.revision, value: record.value, due: now + Self.keptFor)
            if try await client.guarded({ try await store.changeControl(change) }), let row = change.row { return .taken(row) }
        }
        throw Problem(.conflict, "request_in_progress", "This request is being worked on. Ask again under the same key.")
    }

    /// - Parameter answer: nil lets whoever asks again work on it at once.
    private func finish(_ held: ControlRow, _ answer: RecordedAnswer?) async throws {
        guard var record = RequestRecord(held.value) else { return }
        let store = client.store
        record.answer = answer
        let value = record.value
        let change =
            answer == nil || value.count > Self.longestAnswer
            ? ControlChange.remove(held.key, on: held.revision)
            : .put(held.key, on: held.revision, value: value, due: held.due)
        // Somebody else may have taken it up meanwhile, and does the same.
        _ = try await client.guarded { try await store.changeControl(change) }
    }
}

extension RecordedAnswer {
    fileprivate init?(_ answer: Answer) {
        guard case .json(let body) = answer.content else { return nil }
        self.init(status: answer.status.code, body: body, location: answer.headers[.location])
    }

    /// Only what is wrong with the request itself is the answer for good: who may do what, what is there and what is free all change.
    fileprivate init?(_ problem: Problem) {
        guard [.badRequest, .contentTooLarge, .unprocessableContent, .gone].contains(problem.status) else { return nil }
        self.init(status: problem.status.code, body: problem.document, location: nil)
    }
}

extension Answer {
    fileprivate init(_ recorded: RecordedAnswer) {
        self.init(HTTPResponse.Status(code: recorded.status), recorded.body)
        headers[.location] = recorded.location
        if recorded.status >= 400 { headers[.contentType] = Problem.mediaType }
        if let name = HTTPField.Name("Idempotency-Replayed") { headers[name] = "true" }
    }
}
