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
    /// nil where nobody has to.
    let signIn: SignIn?
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
        client: Client, workflows: WorkflowRegistry?, examples: [String: String], gate: any Gate, signIn: SignIn? = nil,
        secret: [UInt8]?, now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) throws {
        self.client = client
        formGuard = FormGuard(secret: secret)
        self.workflows = workflows
        self.examples = examples
        self.gate = gate
        self.signIn = signIn
        self.now = now
        self.logger = logger
        templates = try PageTemplates()
    }

    func addRoutes(to router: Router<APIContext>) {
        assets.addRoutes(to: router)
        router.get("/") { request, context in await home(request, context) }
        if let signIn { addRoutes(of: signIn, to: router) }
        // Nobody plays another's part where people show who they are.
        for route in PageRoute.all where gate.trustsThisMachine || route.path != PageRoute.actAs {
            router.on(RouterPath("/namespaces/{namespace}\(route.path)"), method: route.method.http) { request, context in
                await respond(to: request, context, route)
            }
        }
    }

    /// What a person is told who asks for an address that is none.
    func notFound(_ request: Request, _ context: APIContext) async -> Response {
        let caller = try? await gate.caller(of: request, over: context.channel, by: .page)
        return problemPage(
            Problem(.notFound, "address_unknown", "There is nothing at this address."), "", caller ?? .nobody, of: .get)
    }

    /// Where somebody begins: the first namespace that they may see.
    private func home(_ request: Request, _ context: APIContext) async -> Response {
        do {
            let caller = try await gate.caller(of: request, over: context.channel, by: .page)
            let names = caller.rights.visibleNamespaces
            guard let first = names == nil ? "default" : names?.first else {
                throw Problem(
                    .forbidden, "right_missing",
                    "You are signed in as '\(caller.principal.id)', who may see no namespace. Whoever administers one gives rights."
                )
            }
            return Response(status: .found, headers: [.location: "/namespaces/\(first)", .cacheControl: "no-store"])
        } catch {
            return await refusal(error, request, context, "", .nobody, .get)
        }
    }

    // MARK: One request

    private func respond(to request: Request, _ context: APIContext, _ route: PageRoute) async -> Response {
        var caller = Caller.nobody
        let namespace = context.parameters.get("namespace").flatMap { Query.decoded($0) } ?? ""
        do {
            caller = try await gate.caller(of: request, over: context.channel, by: .page)
            let call = try await call(for: request, context, route, namespace, caller)
            let answer = try await cancelWhenGracefulShutdown { try await route.answer(call) }
            return try await response(answer, call, caller)
        } catch is CancellationError {
            return problemPage(.init(.serviceUnavailable, "ending", "The server ends."), namespace, caller, of: route.method)
        } catch {
            let problem = known(error, request, context)
            if problem.status == .forbidden, !caller.principal.id.isEmpty {
                let refusals = Refusals(client: client, now: now, logger: logger)
                await refusals.record(
                    caller, "\(route.method.rawValue) \(route.path)", of: context.parameters.get("run"),
                    in: TextRule.identifier.fits(namespace) ? namespace : nil, problem)
            }
            return await refusal(problem, request, context, namespace, caller, route.method)
        }
    }

    /// Whoever has not said who they are signs in, if they want to look.
    private func refusal(
        _ error: any Error, _ request: Request, _ context: APIContext, _ namespace: String, _ caller: Caller,
        _ method: Operation.Method
    ) async -> Response {
        let problem = known(error, request, context)
        guard problem.status == .unauthorized, signIn != nil, method == .get else {
            return problemPage(problem, namespace, caller, of: method)
        }
        let target = SignIn.target(request.uri.string)
        return Response(status: .seeOther, headers: [.location: SignIn.address(for: target), .cacheControl: "no-store"])
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
        for request: Request, _ context: APIContext, _ route: PageRoute, _ namespace: String, _ caller: Caller
    ) async throws -> PageCall {
        var path: [String: String] = [:]
        for (name, rule) in route.pathParameters + [("namespace", .identifier)] {
            guard let text = context.parameters.get(name).flatMap({ Query.decoded($0) }), rule.fits(text) else {
                throw Problem(.notFound, "address_unknown", "There is nothing at this address: '\(name)' \(rule.wish).")
            }
            path[name] = text
        }
        try caller.require(route.right, in: route.isEverywhere ? nil : namespace)
        return PageCall(
            client: try client.confined(to: namespace), caller: caller.principal, rights: caller.rights, workflows: workflows,
            examples: examples,
            recentRuns: recentRuns, now: now(),
            namespace: namespace,
            path: path, query: try Fields(request.uri.query ?? ""),
            form: route.method == .post ? try await form(of: request, caller) : try Fields(""))
    }

    private func form(of request: Request, _ caller: Caller) async throws -> Fields {
        let fields = try await fields(of: request)
        try formGuard.check(fields["guard"], of: caller)
        return fields
    }

    private func fields(of request: Request, atMost limit: Int = formLimit) async throws -> Fields {
        guard let type = request.headers[.contentType].flatMap({ MediaType(from: $0) }), type.isType(.applicationUrlEncoded)
        else {
            throw Problem(.unsupportedMediaType, "media_type_unsupported", "A form comes as 'application/x-www-form-urlencoded'.")
        }
        guard let bytes = try await request.bytes(atMost: limit) else {
            throw Problem(.contentTooLarge, "payload_too_large", "What was filled in has more than \(limit) bytes.")
        }
        return try Fields(String(decoding: bytes, as: UTF8.self))
    }

    // MARK: Signing in

    private func addRoutes(of signIn: SignIn, to router: Router<APIContext>) {
        router.get("/sign-in") { request, _ in
            signInPage(signIn.model(SignIn.target(try? Fields(request.uri.query ?? "")["to"])))
        }
        router.get("/sign-in/{issuer}") { request, context in
            await answer(request, context) {
                try signIn.gate.admitStranger(request, isReading: true)
                let target = SignIn.target(try Fields(request.uri.query ?? "")["to"])
                return try await signIn.begin(context.parameters.get("issuer") ?? "", target, request)
            }
        }
        router.get("/sign-in/{issuer}/callback") { request, context in
            await answer(request, context) {
                try signIn.gate.admitStranger(request, isReading: true)
                return try await signIn.finish(
                    context.parameters.get("issuer") ?? "", request, try Fields(request.uri.query ?? ""))
            }
        }
        router.post("/sign-in/token") { request, context in
            await answer(request, context) {
                try signIn.gate.admitStranger(request, isReading: false)
                let fields = try await fields(of: request, atMost: 16_384), target = SignIn.target(fields["to"])
                do {
                    return try await signIn.signIn(token: fields["token"] ?? "", target)
                } catch let problem as Problem where problem.status == .unauthorized {
                    return signInPage(
                        signIn.model(target, problem: "This is no token of this server, or it has expired or was revoked."),
                        .unauthorized)
                }
            }
        }
        router.post("/sign-out") { request, context in
            await answer(request, context) {
                let caller = try await gate.caller(of: request, over: context.channel, by: .page)
                _ = try await form(of: request, caller)
                return try await signIn.end(request)
            }
        }
    }

    private func answer(
        _ request: Request, _ context: APIContext, _ body: () async throws -> Response
    ) async -> Response {
        do {
            return try await body()
        } catch {
            return problemPage(known(error, request, context), "", .nobody, of: .get)
        }
    }

    private func signInPage(_ model: Model, _ status: HTTPResponse.Status = .ok) -> Response {
        var model = model
        model["assets"] = .string(assets.path)
        return page(PageView(template: "sign-in", title: "Sign in", place: .overview, status: status, model: model), [:])
    }

    // MARK: Answers

    private func response(_ answer: PageAnswer, _ call: PageCall, _ caller: Caller) async throws -> Response {
        switch answer {
        case .view(let view): return page(view, try await frame(call, caller, view))
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
        _ problem: Problem, _ namespace: String, _ caller: Caller, of method: Operation.Method
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

    private func frame(_ call: PageCall, _ caller: Caller, _ view: PageView) async throws -> Model {
        var frame = emptyFrame(call.base, call.namespace, caller)
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

    private func emptyFrame(_ base: String, _ namespace: String, _ caller: Caller) -> Model {
        let names = (caller.rights.visibleNamespaces ?? []).filter { $0 != Rights.everywhere }
        var frame: Model = [
            "title": "Perdure", "base": .string(base), "namespace": .string(namespace), "assets": .string(assets.path),
            "isDev": .bool(gate.trustsThisMachine), "canSignOut": .bool(caller.isSignedIn),
            "maySeeNodes": .bool(caller.rights.allow(.administer, in: nil)),
            "mayStart": .bool(caller.rights.allow(.start, in: namespace)),
            "hasNamespaces": .bool(names.count > 1),
            "namespaces": .array(names.map { ["name": .string($0), "href": .string("/namespaces/\($0)")] }),
            "person": .string(caller.principal.id), "personDetail": .string(caller.principal.authentication),
            "guard": .string(formGuard.mark(for: caller)), "once": .string(UUID().uuidString),
            "isStreamed": false, "liveSource": "", "isPolled": false, "liveEvery": 0, "hasNotice": false,
            "hasApprovalCount": false, "hasStuckCount": false, "approvalCount": "", "stuckCount": "",
        ]
        for place in PageView.Place.allCases { frame[place.flag] = false }
        return frame
    }
}
