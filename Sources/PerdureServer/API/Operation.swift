internal import HTTPTypes
internal import Perdure
internal import PerdureHistory

/// One thing that can be asked for over HTTP. All there is to know of it stands here: the router, the rights, the checks of what comes in
/// and the OpenAPI document are made from it.
struct Operation: Sendable {
    enum Method: String, Sendable, Hashable, CaseIterable {
        case get = "GET"
        case post = "POST"

        var http: HTTPRequest.Method {
            switch self {
            case .get: .get
            case .post: .post
            }
        }
    }

    /// What comes of it when all is well.
    struct Success: Sendable {
        let status: HTTPResponse.Status
        let about: String
        /// Nil for an answer without a body.
        let schema: Schema?
        var isStream = false
    }

    /// As programs that are generated from the document call it.
    let id: String
    let method: Method
    /// With the names of its parts in braces.
    let path: String
    /// The heading that it stands under.
    let group: String
    let summary: String
    let right: Right
    var query: [Parameter] = []
    /// What has to come with it; nil for nothing.
    var body: Schema?
    let successes: [Success]
    /// What it may be refused with, beside what every operation is.
    var refusals: [HTTPResponse.Status] = []
    /// Whether the run's own answer is waited for: the run keeps it as long as its history is kept, and gives it again.
    var isWaitedFor = false
    /// Whether its answer holds what must not be kept: the same request again is refused, and nothing is done.
    var isSecret = false
    /// Whether who asks is known by a signature over the body (`Hooks/Receiving`), which also names the request, and not by the gate.
    var isSigned = false
    let answer: @Sendable (Call) async throws -> Answer

    /// Changing calls are made under a key, so that they can be made again.
    var needsKey: Bool { method == .post && !isSigned }

    /// Whether the same request again gets the answer that it got.
    var keepsAnswer: Bool { !isSecret && !isWaitedFor }

    /// Whether its answer is a stream of events, which goes on until there is nothing more to tell.
    var isFollowed: Bool { successes.contains(where: \.isStream) }

    /// Everything that it may be refused with.
    var allRefusals: [HTTPResponse.Status] {
        var all: Set<HTTPResponse.Status> = [.badRequest, .forbidden, .serviceUnavailable, .internalServerError]
        all.formUnion(refusals)
        if right != .none || isSigned { all.insert(.unauthorized) }
        if path.contains("{") { all.insert(.notFound) }
        if body != nil { all.formUnion([.contentTooLarge, .unsupportedMediaType]) }
        if needsKey { all.formUnion([.conflict, .unprocessableContent]) }
        return all.sorted { $0.code < $1.code }
    }

    /// The names in its path, and what each has to be.
    var pathParameters: [(name: String, rule: TextRule)] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { part in
            let name = String(part.dropFirst().dropLast())
            return (name, name == "run" ? .run : .identifier)
        }
    }
}

/// What an operation answers.
struct Answer: Sendable {
    enum Content: Sendable {
        case nothing
        case json(JSONValue)
        case stream(EventStream)
    }

    let status: HTTPResponse.Status
    let content: Content
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status = .ok, _ body: JSONValue?, headers: HTTPFields = [:]) {
        self.status = status
        self.content = body.map(Content.json) ?? .nothing
        self.headers = headers
    }

    init(_ stream: EventStream) {
        status = .ok
        content = .stream(stream)
        // Whoever watches for the other side to hang up has no use for the connection afterwards.
        headers[.connection] = "close"
        // For a proxy that would gather the answer before it passes it on.
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
    }
}
