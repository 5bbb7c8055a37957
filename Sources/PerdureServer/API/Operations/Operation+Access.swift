internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureHistory

extension Operation {
    static let access: [Operation] = [
        Operation(
            id: "getCaller", method: .get, path: "/v1/me", group: "Access",
            summary: "Says who asks, how that is known, and what they may.", right: .known,
            successes: [
                Success(
                    status: .ok, about: "Who asks.",
                    schema: .object([
                        .must("id", .text(.free(atMost: 2_000))), .must("kind", .text(.free(atMost: 100))),
                        .must("authentication", .text(.free(atMost: 2_000))),
                        .must(
                            "roles", .map(.free(atMost: 128), .list(.text(.free(atMost: 300)), atMost: 1_000), atMost: 100_000),
                            "By namespace; '*' stands for all."),
                    ]))
            ]
        ) { $0.me },
        Operation(
            id: "listTokens", method: .get, path: "\(namespace)/tokens", group: "Access",
            summary:
                "Lists the API tokens of the namespace by name, also those that are worth nothing any more. No secret is shown.",
            right: .audit, query: Call.namedPageParameters,
            successes: [Success(status: .ok, about: "A page of them.", schema: Call.namedPage("tokens", APIToken.schema))]
        ) { try await $0.listTokens() },
        Operation(
            id: "makeToken", method: .post, path: "\(namespace)/tokens", group: "Access",
            summary: "Makes an API token, which is shown this once.", right: .administer,
            body: .object([
                .must("name", .text(.identifier), "No name is given twice, so that histories stay true."),
                .must("roles", .list(.text(.free(atMost: 300)), atMost: 100)),
                .must("expires_in_seconds", .integer(APITokens.lifetimes)),
            ]),
            successes: [
                Success(
                    status: .created, about: "The token. Keep it: only a hash of it is kept here.",
                    schema: .object([.must("token", .text(.free(atMost: 200))), .must("about", APIToken.schema)]))
            ],
            isSecret: true
        ) { try await $0.makeToken() },
        Operation(
            id: "revokeToken", method: .post, path: "\(namespace)/tokens/{token}/revoke", group: "Access",
            summary: "Makes a token, and every session that was begun with it, worthless from the next request on.",
            right: .administer,
            body: .object([]), successes: [Success(status: .ok, about: "What became of it.", schema: APIToken.schema)]
        ) { try await $0.revokeToken() },
        Operation(
            id: "endSessions", method: .post, path: "/v1/sessions/end", group: "Access",
            summary: "Signs somebody out of the page, wherever they are signed in.", right: .administer,
            body: .object([.must("id", .text(.key), "As getCaller tells it.")]),
            successes: [
                Success(
                    status: .ok, about: "How many sessions there were.",
                    schema: .object([.must("ended", .integer(0...Int64.max))]))
            ]
        ) { call in
            let sessions = Sessions(client: call.control, now: call.now)
            return Answer(.ok, ["ended": JSONValue(try await sessions.end(of: call.text("id") ?? ""))])
        },
        Operation(
            id: "listRefusals", method: .get, path: "\(namespace)/refusals", group: "Access",
            summary: "Lists the attempts of known callers at what they had no right to, newest first, of the last 90 days.",
            right: .audit, query: Call.namedPageParameters,
            successes: [Success(status: .ok, about: "A page of them.", schema: Call.namedPage("refusals", Refusals.schema))]
        ) { try await $0.listRefusals(in: $0.namespace) },
        Operation(
            id: "listOtherRefusals", method: .get, path: "/v1/refusals", group: "Access",
            summary: "Lists the same of those who have nothing in the namespace that they tried, and of what belongs to none.",
            right: .audit, query: Call.namedPageParameters,
            successes: [Success(status: .ok, about: "A page of them.", schema: Call.namedPage("refusals", Refusals.schema))]
        ) { try await $0.listRefusals(in: Rights.everywhere) },
    ]
}

extension Call {
    fileprivate static let namedPageParameters = [
        limitParameter,
        Parameter(
            name: "after", schema: .text(.free(atMost: 300)),
            about: "The next page of a list: what the page before has as 'next'."),
    ]

    fileprivate static func namedPage(_ name: String, _ element: Schema) -> Schema {
        .object([
            .must(name, .list(element, atMost: 1_000)),
            .may("next", .text(.free(atMost: 300)), "Where the next page begins; missing in the last one."),
        ])
    }

    private var tokens: APITokens { APITokens(client: control, now: now) }

    private var isToken: Bool { caller.id.hasPrefix("token:") }

    fileprivate var me: Answer {
        let roles = rights.roles.map { ($0.key, JSONValue.array($0.value.map(\.description).sorted().map(JSONValue.string))) }
        return Answer(
            .ok,
            .members(
                ("id", .string(caller.id)), ("kind", .string(caller.kind.rawValue)),
                ("authentication", .string(caller.authentication)),
                ("roles", .object(JSONObject(roles.sorted { $0.0 < $1.0 })))))
    }

    fileprivate func listTokens() async throws -> Answer {
        let page = try await tokens.all(in: namespace, after: query.text("after"), limit: limit)
        return namedPage("tokens", page.tokens.map(\.json), next: page.next)
    }

    fileprivate func makeToken() async throws -> Answer {
        let names = (body["roles"]?.arrayValue ?? []).compactMap(\.stringValue)
        if let wrong = names.first(where: { Role($0) == nil }) {
            let wish = "has to be viewer, starter, operator, approver, approver:NAME, auditor or admin, not '\(wrong)'"
            throw Problem(.badRequest, "body_invalid", "Each of 'roles' \(wish).", flaws: [Flaw(place: "/roles", wish: wish)])
        }
        let roles = Set(names.compactMap(Role.init))
        if let more = roles.first(where: { !rights.mayGive($0, in: namespace) }) {
            throw Problem(
                .forbidden, "right_missing",
                "'\(caller.id)' does not hold '\(more)' here, and nobody gives what they do not have. Grants stand in the access file."
            )
        }
        if roles.contains(.admin), isToken {
            throw Problem(
                .forbidden, "right_missing",
                "A token cannot make one for an admin, which could make the next: it would never end. Do this yourself.")
        }
        let (token, text) = try await tokens.make(
            name: self.text("name") ?? "", namespace: namespace, roles: roles,
            lifetime: body["expires_in_seconds"]?.integerValue ?? 0, by: caller.lineage)
        return Answer(.created, ["token": .string(text), "about": token.json])
    }

    fileprivate func revokeToken() async throws -> Answer {
        Answer(.ok, try await tokens.revoke(name: path["token"] ?? "", namespace: namespace, by: caller.lineage).json)
    }

    fileprivate func listRefusals(in namespace: String) async throws -> Answer {
        let refusals = Refusals(client: control, now: now)
        let (found, next) = try await refusals.page(in: namespace, after: query.text("after"), limit: limit)
        return namedPage("refusals", found, next: next)
    }

    private func namedPage(_ name: String, _ items: [JSONValue], next: String?) -> Answer {
        var members: JSONObject = [name: .array(items)]
        if let next { members["next"] = .string(next) }
        return Answer(.ok, .object(members))
    }
}
