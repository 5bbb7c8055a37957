internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// One address of the page, below the namespace: what is shown there, or done.
struct PageRoute: Sendable {
    let method: Operation.Method
    let path: String
    let right: Right
    /// Whether it shows what belongs to no namespace: then the right has to be one everywhere.
    let isEverywhere: Bool
    let answer: @Sendable (PageCall) async throws -> PageAnswer

    init(
        _ method: Operation.Method, _ path: String, _ right: Right, isEverywhere: Bool = false,
        answer: @escaping @Sendable (PageCall) async throws -> PageAnswer
    ) {
        self.method = method
        self.path = path
        self.right = right
        self.isEverywhere = isEverywhere
        self.answer = answer
    }

    static let actAs = "/act-as"

    static let all: [PageRoute] =
        overview + runs + run + replay + actions + start + approvals + stuck + schedules + workflows + nodes + interventions

    /// The names in its path, and what each has to be.
    var pathParameters: [(name: String, rule: TextRule)] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { part in
            let name = String(part.dropFirst().dropLast())
            return (name, name == "run" ? .run : .identifier)
        }
    }
}

enum PageAnswer: Sendable {
    case view(PageView)
    /// After something was done: what is shown then, and what is said there.
    case see(String, PageNotice? = nil)
    /// Whoever sits at the desk plays another part from now on.
    case become(String)
}

/// What a page shows, before everything that all of them have.
struct PageView: Sendable {
    /// The entry of the navigation that it belongs to.
    enum Place: String, Sendable, CaseIterable {
        case overview, runs, approvals, stuck, schedules, workflows, nodes, interventions, start

        /// What templates ask for.
        var flag: String { "at" + rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
    }

    /// How it comes to know that something has changed.
    enum Freshness: Sendable {
        case fixed
        /// Looked at again after so many seconds.
        case polled(Int)
        /// Looked at again at every event of this run.
        case followed(RunID, after: Int64)
    }

    let template: String
    let title: String
    let place: Place
    var freshness = Freshness.fixed
    var status = HTTPResponse.Status.ok
    let model: Model
}

/// What is said after something was done. Only what stands here is ever said, whatever the address contains.
enum PageNotice: String, Sendable, CaseIterable {
    case accepted, started, found, approved, denied, answered, resolved, paused, resumed, stale

    var text: String {
        switch self {
        case .accepted: "Sent. The history of the run says what comes of it."
        case .started: "Started."
        case .found: "There was a run under this key already: this one. Nothing was started."
        case .approved: "Your approval is sent. The history of the run says what comes of it."
        case .denied: "Your denial is sent. The history of the run says what comes of it."
        case .answered: "Your answer is sent. The history of the run says what comes of it."
        case .resolved: "What you said is sent. The history of the run says what comes of it."
        case .paused: "The schedule is paused."
        case .resumed: "The schedule goes on."
        case .stale: "What is asked has changed since you looked. Nothing was decided; read it again."
        }
    }

    var kind: String {
        switch self {
        case .stale: "bad"
        case .started, .paused, .resumed: "good"
        default: "plain"
        }
    }
}

/// One look at the page, or one deed on it.
struct PageCall: Sendable {
    /// Confined to the namespace in the address.
    let client: Client
    let caller: Principal
    let rights: Rights
    let workflows: WorkflowRegistry?
    /// Inputs to begin with, by workflow, as JSON.
    let examples: [String: String]
    let recentRuns: RecentRuns
    let now: Timestamp
    let namespace: String
    let path: [String: String]
    let query: Fields
    /// What was filled in; empty where nothing was sent.
    let form: Fields

    var base: String { "/namespaces/\(namespace)" }
    /// Whether what changes runs and schedules is offered.
    var mayOperate: Bool { rights.allow(.operate, in: namespace) }

    /// - Throws: `Problem` with 404; the path was checked.
    func run() throws -> RunID {
        guard let id = path["run"].flatMap(RunID.init) else { throw Problem(.notFound, "run_unknown", "There is no such run.") }
        return id
    }

    func address(of run: RunID) -> String { "\(base)/runs/\(run)" }

    /// Names what a form asks for, so that sent twice it is done once.
    func messageID() throws -> String { "page:\(caller.id.hashed):\(try form.required("once"))" }

    /// JSON that somebody has typed.
    func json(_ name: String) throws(Problem) -> Data {
        let text = form.text(name) ?? "null"
        do {
            return Data(try JSONValue.parse(Array(text.utf8), what: "it").canonicalBytes)
        } catch {
            throw Problem(
                .badRequest, "form_invalid", "'\(name)' is not JSON: \(error.fault).",
                flaws: [Flaw(place: name, wish: "This is not JSON: \(error.fault).")])
        }
    }

    static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .urlUnreserved) ?? ""
    }

    /// An address with a query.
    static func link(_ path: String, _ fields: [(String, String)]) -> String {
        let pairs = fields.map { "\($0.0)=\(encoded($0.1))" }
        return pairs.isEmpty ? path : "\(path)?\(pairs.joined(separator: "&"))"
    }
}

extension String {
    /// Stands for a text in an id of bounded length.
    fileprivate var hashed: String { Hex.encode(SaltedDigest.plain(Array(utf8)).prefix(8)) }
}

extension CharacterSet {
    fileprivate static let urlUnreserved = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
}
