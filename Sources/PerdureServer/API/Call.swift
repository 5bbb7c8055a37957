internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// One request to an operation, checked: its path, query and body are as the operation says.
struct Call: Sendable {
    /// What it may see: one namespace if the path names one.
    let client: Client
    /// What belongs to the installation and to no namespace.
    let control: Client
    let caller: Principal
    let rights: Rights
    /// The code that is in this process, if any is: with it inputs are checked before a run begins.
    let workflows: WorkflowRegistry?
    let live: LiveHistories
    let now: @Sendable () -> Timestamp
    /// The rows of webhooks, of every namespace.
    let hooks: HookStore
    let hookTargets: HookTargets
    let path: [String: String]
    let query: Query
    /// `null` if there is none.
    let body: JSONValue
    /// Names what is sent to a run, so that the same request again is the same message.
    let messageID: String?
    /// The event behind which whoever follows a history goes on.
    let lastEventID: Int64?
    /// What a signed message asks for, and the hook that it came through.
    var message: (hook: ReceivingHook, message: HookMessage)?

    var namespace: String { path["namespace"] ?? "" }

    /// - Throws: `Problem` with 404; the path was checked.
    func run() throws -> RunID {
        guard let id = path["run"].flatMap(RunID.init) else { throw Problem(.notFound, "run_unknown", "There is no such run.") }
        return id
    }

    func text(_ name: String) -> String? { body[name]?.stringValue }
    func flag(_ name: String) -> Bool { body[name]?.boolValue ?? false }

    /// A member of the body as bytes of JSON.
    func json(_ name: String) -> Data { Data((body[name] ?? .null).canonicalBytes) }

    // MARK: Pages

    private static let pageLimit: Int64 = 500, usualPage: Int64 = 50

    static let limitParameter = Parameter(
        name: "limit", schema: .integer(1...pageLimit), about: "How many at most. \(usualPage) without it.")
    static let pageParameters = [
        limitParameter,
        Parameter(name: "cursor", schema: .text(.cursor), about: "The next page of a list, as the page before has given it."),
    ]

    var limit: Int { Int(query.integer("limit") ?? Self.usualPage) }

    /// The number that the page begins behind; nil for the first one.
    ///
    /// - Throws: `Problem` with 400.
    func last(of question: [String]) throws(Problem) -> Int64? {
        guard let text = query.text("cursor") else { return nil }
        return try Cursor(text, of: question).last
    }

    /// - Parameter last: The number of the last one, if there may be more.
    func page(_ name: String, _ items: [JSONValue], next last: Int64?, of question: [String]) -> Answer {
        var members: JSONObject = [name: .array(items)]
        if let last { members["next"] = .string(Cursor(after: last, of: question).text) }
        return Answer(.ok, .object(members))
    }

    static func page(_ name: String, _ element: Schema) -> Schema {
        .object([
            .must(name, .list(element, atMost: 1_000)),
            .may("next", .text(.cursor), "The cursor of the next page; missing in the last one."),
        ])
    }
}
