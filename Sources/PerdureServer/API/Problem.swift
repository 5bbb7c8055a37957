internal import HTTPTypes
internal import Hummingbird
internal import Perdure
internal import PerdureHistory

/// What a caller is told who does not get what was asked for: a problem document (RFC 9457).
struct Problem: Error, Sendable {
    let status: HTTPResponse.Status
    /// Stable: programs may compare it. The same codes as everywhere, and those of HTTP itself.
    let code: String
    let detail: String
    /// Where in the request something is wrong.
    var flaws: [Flaw] = []
    var metadata: [(name: String, value: String)] = []
    var retryAfter: Duration?
    /// Whether what was asked for may have been done all the same.
    var mayHaveHappened = false
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ code: String, _ detail: String, flaws: [Flaw] = []) {
        self.status = status
        self.code = code
        self.detail = detail
        self.flaws = flaws
    }

    /// - Parameter error: Its message is for the caller; its cause may name what is none of his business, and stays here.
    init(_ error: PerdureError) {
        self.init(Self.status(error.code), error.code.rawValue, error.message)
        metadata = error.metadata
        retryAfter = error.retryAfter
        mayHaveHappened = error.mayHaveHappened
    }

    /// The same for whoever is not to know what lies beneath: a store's own words name hosts and files.
    var withoutDetails: Problem {
        guard status == .serviceUnavailable else { return .internalError }
        var problem = Problem(status, code, "The store cannot be used at the moment. Try again soon.")
        problem.retryAfter = retryAfter
        problem.mayHaveHappened = mayHaveHappened
        return problem
    }

    /// - Parameter code: `credentials_missing` for nobody, others for somebody who is not believed (RFC 6750, 3.1).
    static func unauthorized(_ code: String, _ detail: String) -> Problem {
        var problem = Problem(.unauthorized, code, detail)
        let error = code == "credentials_missing" ? "" : ", error=\"invalid_token\""
        problem.headers[.wwwAuthenticate] = "Bearer realm=\"perdure\"\(error)"
        return problem
    }

    static let internalError = Problem(
        .internalServerError, "internal", "Something went wrong in the server; its log says more.")

    // MARK: Status

    /// - Returns: 500 for a code that no call of a client throws.
    static func status(_ code: PerdureError.Code) -> HTTPResponse.Status {
        statuses.first { $0.codes.contains(code) }?.status ?? .internalServerError
    }

    private static let statuses: [(status: HTTPResponse.Status, codes: Set<PerdureError.Code>)] = [
        (
            .badRequest,
            [
                .usage, .nameInvalid, .labelInvalid, .inputUndecodable, .valueNotEncodable, .answerInvalid, .cronInvalid,
                .zoneUnknown, .scheduleInvalid,
            ]
        ),
        (.forbidden, [.approvalNotPermitted]),
        (
            .notFound,
            [
                .runUnknown, .workflowUnknown, .approvalUnknown, .questionUnknown, .stepUnknown, .scheduleUnknown, .queueUnknown,
                .tokenUnknown,
            ]
        ),
        (
            .conflict,
            [
                .runClosed, .runConflict, .approvalClosed, .approvalMismatch, .questionClosed, .stepNotStuck, .keyConflict,
                .runPaused, .runNotPaused, .runNotRestored, .runRestored, .runResetting, .runQuarantined, .resetRefused,
                .forkRefused, .scheduleConflict, .scheduleBusy, .tokenConflict, .queueNeedsUpgrade, .updateRejected,
            ]
        ),
        (.gone, [.runExpired]),
        (.contentTooLarge, [.payloadTooLarge]),
        // What the standard of the Idempotency-Key asks for.
        (.unprocessableContent, [.messageConflict]),
        (.tooManyRequests, [.quotaExceeded]),
        (
            .serviceUnavailable,
            [.storeUnavailable, .storeLocked, .storeMissing, .storeRefused, .storeReadOnly, .storeRestored, .engineStopped]
        ),
    ]

    // MARK: As an answer

    static let mediaType = "application/problem+json"

    /// In the names of the standard.
    var document: JSONValue {
        var members: [(String, JSONValue)] = [
            ("type", .string("urn:perdure:error:\(code)")), ("title", .string(title)), ("status", JSONValue(status.code)),
            ("detail", .string(detail)), ("code", .string(code)),
        ]
        if !flaws.isEmpty {
            let errors = flaws.map { flaw -> JSONValue in ["pointer": .string(flaw.place), "detail": .string(flaw.wish)] }
            members.append(("errors", .array(errors)))
        }
        if !metadata.isEmpty {
            members.append(("metadata", .object(JSONObject(metadata.map { ($0.name, .string($0.value)) }))))
        }
        if mayHaveHappened { members.append(("may_have_happened", true)) }
        return .object(JSONObject(members))
    }

    private var title: String {
        let words = code.replacing("_", with: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    static let schema = Schema.named(
        "Problem",
        .object([
            .must("type", .text(.free(atMost: 300))), .must("title", .text(.free(atMost: 300))),
            .must("status", .integer(400...599)), .must("detail", .text(.free(atMost: 20_000))),
            .must("code", .text(.free(atMost: 100)), "Stable; docs/api.md and docs/errors explain each."),
            .may(
                "errors",
                .list(
                    .object([
                        .must("pointer", .text(.free(atMost: 3_000)), "A JSON Pointer into the body, or a parameter's name."),
                        .must("detail", .text(.free(atMost: 3_000))),
                    ]), atMost: 100)),
            .may("metadata", .map(.free(atMost: 100), .text(.free(atMost: 20_000)), atMost: 100)),
            .may("may_have_happened", .bool, "What was asked for may have been done all the same: ask again under the same key."),
        ]))
}

extension Response {
    init(_ problem: Problem) {
        var headers = problem.headers
        headers[.contentType] = Problem.mediaType
        headers[.cacheControl] = "no-store"
        if let wait = problem.retryAfter {
            headers[.retryAfter] = "\(max(1, Int((wait / .seconds(1)).rounded(.up))))"
        } else if problem.status == .serviceUnavailable {
            headers[.retryAfter] = "1"
        }
        self.init(
            status: problem.status, headers: headers,
            body: .init(byteBuffer: ByteBuffer(string: problem.document.canonicalText + "\n")))
    }
}
