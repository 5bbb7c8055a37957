internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle

/// The page: what `PageRoute.all` says, in the frame that every page has.
struct PageSite: Sendable {
    let client: Client
    let workflows: WorkflowRegistry?
    let examples: [String: String]
    let gate: any Gate
    let now: @Sendable () -> Timestamp
    let logger: Logger
    private let templates: PageTemplates
    private let assets = PageAssets()
    private let formGuard: FormGuard
    private let recentRuns = RecentRuns()

    private static let formLimit = Payload.defaultLimit + 65_536
    /// The name that whoever sits at the desk goes by.
    static let personCookie = "perdure_person"

    init(
        client: Client, workflows: WorkflowRegistry?, examples: [String: String], gate: any Gate,
        secret: [UInt8]?, now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) throws {
        self.client = client
        formGuard = FormGuard(secret: secret)
        self.workflows = workflows
        self.examples = examples
        self.gate = gate
        self.now = now
        self.logger = logger
        templates = try PageTemplates()
    }

    func addRoutes(to router: Router<APIContext>) {
        assets.addRoutes(to: router)
        router.get("/") { _, _ in Response(status: .found, headers: [.location: "/namespaces/default"]) }
        for route in PageRoute.all {
            router.on(RouterPath("/namespaces/{namespace}\(route.path)"), method: route.method.http) { request, context in
                await respond(to: request, context, route)
            }
        }
    }

    /// What a person is told who asks for an address that is none.
    func notFound(_ request: Request) async -> Response {
        let caller = try? await gate.caller(of: request)
        return problemPage(
            Problem(.notFound, "address_unknown", "There is nothing at this address."), "", caller ?? Self.nobody, of: .get)
    }

    private static let nobody = Principal(.human, "", authentication: "")

    // MARK: One request

    private func respond(to request: Request, _ context: APIContext, _ route: PageRoute) async -> Response {
        var caller = Self.nobody
        let namespace = context.parameters.get("namespace").flatMap { Query.decoded($0) } ?? ""
        do {
            caller = try await gate.caller(of: request)
            let call = try await call(for: request, context, route, namespace, caller)
            let answer = try await cancelWhenGracefulShutdown { try await route.answer(call) }
            return try await response(answer, call)
        } catch is CancellationError {
            return problemPage(.init(.serviceUnavailable, "ending", "The server ends."), namespace, caller, of: route.method)
        } catch {
            let problem = known(error, request, context)
            return problemPage(problem, namespace, caller, of: route.method)
        }
    }

    private func known(_ error: any Error, _ request: Request, _ context: APIContext) -> Problem {
        if let problem = error as? Problem { return problem }
        let problem = (error as? PerdureError).map(Problem.init) ?? .internalError
        guard problem.status.kind == .serverError else { return problem }
        logger.error(
            "a page failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)", "request": "\(context.id)"])
        return problem.withoutDetails
    }

    private func call(
        for request: Request, _ context: APIContext, _ route: PageRoute, _ namespace: String, _ caller: Principal
    ) async throws -> PageCall {
        var path: [String: String] = [:]
        for (name, rule) in route.pathParameters + [("namespace", .identifier)] {
            guard let text = context.parameters.get(name).flatMap({ Query.decoded($0) }), rule.fits(text) else {
                throw Problem(.notFound, "address_unknown", "There is nothing at this address: '\(name)' \(rule.wish).")
            }
            path[name] = text
        }
        try gate.require(route.right, in: namespace, of: caller)
        return PageCall(
            client: try client.confined(to: namespace), caller: caller, workflows: workflows, examples: examples,
            recentRuns: recentRuns, now: now(),
            namespace: namespace,
            path: path, query: try Fields(request.uri.query ?? ""),
            form: route.method == .post ? try await form(of: request, caller) : try Fields(""))
    }

    private func form(of request: Request, _ caller: Principal) async throws -> Fields {
        guard let type = request.headers[.contentType].flatMap({ MediaType(from: $0) }), type.isType(.applicationUrlEncoded)
        else {
            throw Problem(.unsupportedMediaType, "media_type_unsupported", "A form comes as 'application/x-www-form-urlencoded'.")
        }
        guard let bytes = try await request.bytes(atMost: Self.formLimit) else {
            throw Problem(.contentTooLarge, "payload_too_large", "What was filled in has more than \(Self.formLimit) bytes.")
        }
        let fields = try Fields(String(decoding: bytes, as: UTF8.self))
        try formGuard.check(fields["guard"], of: caller.id)
        return fields
    }

    // MARK: Answers

    private func response(_ answer: PageAnswer, _ call: PageCall) async throws -> Response {
        switch answer {
        case .view(let view): return page(view, try await frame(call, view))
        case .see(let address, let notice):
            let mark = address.contains("?") ? "&" : "?"
            let said = notice.map { "\(mark)told=\($0.rawValue)" } ?? ""
            return Response(status: .seeOther, headers: [.location: address + said])
        case .become(let person):
            var response = Response(status: .seeOther, headers: [.location: call.base])
            let value = person.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            response.setCookie(
                Cookie(name: Self.personCookie, value: value, path: "/", httpOnly: true, sameSite: .strict))
            return response
        }
    }

    private func problemPage(
        _ problem: Problem, _ namespace: String, _ caller: Principal, of method: Operation.Method
    ) -> Response {
        let base = TextRule.identifier.fits(namespace) ? "/namespaces/\(namespace)" : "/namespaces/default"
        let isPassing = problem.status == .serviceUnavailable
        let model: Model = [
            "status": JSONValue(problem.status.code), "code": .string(problem.code),
            "problemTitle": .string(problem.status.reasonPhrase), "detail": .string(problem.detail),
            "hasFlaws": .bool(problem.flaws.count > 1),
            "flaws": .array(problem.flaws.map { .string("'\($0.place)' \($0.wish)") }),
            "advice": .string(Self.advice(problem, method)),
            "hasRetry": .bool(isPassing), "retryHref": .string(base), "backHref": .string(base), "backText": "To the overview",
        ]
        let view = PageView(
            template: "problem", title: problem.status.reasonPhrase, place: .overview, status: problem.status, model: model)
        var response = page(view, emptyFrame(base, namespace, caller))
        if let wait = problem.retryAfter { response.headers[.retryAfter] = "\(max(1, wait.components.seconds))" }
        return response
    }

    private static func advice(_ problem: Problem, _ method: Operation.Method) -> String {
        let mayBeDone = method == .post && (problem.mayHaveHappened || problem.status.kind == .serverError)
        if mayBeDone { return "It may have been done all the same. Look at what stands there now before you repeat it." }
        if method == .post { return "Nothing was changed by this." }
        return problem.status.kind == .serverError ? "Runs are not affected by this page. Try again soon." : ""
    }

    private func page(_ view: PageView, _ frame: Model) -> Response {
        var model = frame
        for member in view.model.members { model[member.key] = member.value }
        var headers = Self.headers
        headers[.contentType] = "text/html; charset=utf-8"
        return Response(
            status: view.status, headers: headers,
            body: .init(byteBuffer: ByteBuffer(string: templates.render(view.template, model))))
    }

    private static let headers: HTTPFields = {
        var headers: HTTPFields = [
            .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
            .contentSecurityPolicy:
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                + "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ]
        let others = [("Referrer-Policy", "same-origin"), ("Cross-Origin-Opener-Policy", "same-origin")]
        for (name, value) in others { HTTPField.Name(name).map { headers[$0] = value } }
        return headers
    }()

    // MARK: What every page has

    private func frame(_ call: PageCall, _ view: PageView) async throws -> Model {
        var frame = emptyFrame(call.base, call.namespace, call.caller)
        frame["title"] = .string(view.title)
        frame[view.place.flag] = true
        let open = try await call.client.openRequests(RequestQuery(limit: Self.mostCounted)).count
        let parked = try await call.client.counts()["parked"] ?? 0
        frame.offer("approvalCount", Self.count(open))
        frame.offer("stuckCount", Self.count(parked))
        let notice = call.query["told"].flatMap(PageNotice.init)
        frame["hasNotice"] = .bool(notice != nil)
        if let notice { frame["notice"] = ["kind": .string(notice.kind), "text": .string(notice.text)] }
        switch view.freshness {
        case .fixed: break
        case .polled(let seconds):
            frame["isPolled"] = true
            frame["liveEvery"] = JSONValue(seconds)
        case .followed(let run, let after):
            frame["isStreamed"] = true
            frame["liveSource"] = .string("/v1/namespaces/\(call.namespace)/runs/\(run)/events?after=\(after)")
        }
        return frame
    }

    private static let mostCounted = 100

    /// nil for none, so that no badge is shown.
    private static func count(_ number: Int) -> String? {
        number == 0 ? nil : number < mostCounted ? String(number) : "\(mostCounted - 1)+"
    }

    private func emptyFrame(_ base: String, _ namespace: String, _ caller: Principal) -> Model {
        var frame: Model = [
            "title": "Perdure", "base": .string(base), "namespace": .string(namespace), "assets": .string(assets.path),
            "isDev": true, "canActAs": true, "hasNamespaces": false, "namespaces": [],
            "person": .string(caller.id), "personDetail": .string(caller.authentication),
            "guard": .string(formGuard.mark(for: caller.id)), "once": .string(UUID().uuidString),
            "isStreamed": false, "liveSource": "", "isPolled": false, "liveEvery": 0, "hasNotice": false,
            "hasApprovalCount": false, "hasStuckCount": false, "approvalCount": "", "stuckCount": "",
        ]
        for place in PageView.Place.allCases { frame[place.flag] = false }
        return frame
    }
}
