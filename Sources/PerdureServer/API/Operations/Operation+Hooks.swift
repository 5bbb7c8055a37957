internal import HTTPTypes
internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension Operation {
    private static let group = "Webhooks in"
    private static let hooks = "\(namespace)/hooks", hook = "\(hooks)/{hook}"
    private static let one = Success(status: .ok, about: "As it stands now.", schema: .hook)
    private static let names = Schema.list(.text(.identifier), atMost: 32)
    private static let permissions: [Schema.Member] = [
        .may(
            "signals", .object([.must("names", names), .must("workflows", names)]),
            "The signals it may send, and to runs of which workflows."),
        .may(
            "approvals",
            .object([
                .must("workflows", names),
                .may("roles", .list(.text(.key), atMost: 32), "Those asked that it stands for, beside 'anyone'."),
            ]), "The workflows whose approvals it may decide."),
    ]

    static let webhooksIn: [Operation] = [
        Operation(
            id: "makeHook", method: .post, path: hooks, group: group,
            summary: "Makes a hook, by which another system says something to runs, and gives its secret.", right: .administer,
            body: .object([.must("principal", .text(.key), "Who it acts as, as histories name it.")] + permissions),
            successes: [Success(status: .created, about: "It is made. The secret is not shown again.", schema: .newHook)],
            isSecret: true
        ) { try await $0.makeHook() },
        Operation(
            id: "listHooks", method: .get, path: hooks, group: group, summary: "Lists the hooks of a namespace.", right: .operate,
            successes: [
                Success(status: .ok, about: "All of them.", schema: .object([.must("hooks", .list(.hook, atMost: 1_000))]))
            ]
        ) { call in
            let all = try await call.hooks.all(ReceivingHook.kind, in: call.namespace, as: ReceivingHook.self)
            return Answer(.ok, ["hooks": .array(all.map(\.record.shown))])
        },
        Operation(
            id: "getHook", method: .get, path: hook, group: group, summary: "Shows a hook.", right: .operate, successes: [one]
        ) { call in
            guard let held = try await call.hooks.read(call.hookKey, as: ReceivingHook.self) else { throw Call.noHook }
            return Answer(.ok, held.record.shown)
        },
        Operation(
            id: "sendToHook", method: .post, path: hook, group: group,
            summary:
                "Takes a message that is signed as Standard Webhooks say: a signal, a decision, or a CloudEvent as a signal.",
            right: .none, body: .any,
            successes: [Success(status: .ok, about: "It is durable; the run takes it in next.", schema: .accepted)],
            refusals: [.conflict, .gone, .unprocessableContent], isSigned: true
        ) { try await $0.takeIn() },
        Operation(
            id: "changeHook", method: .post, path: "\(hook)/change", group: group,
            summary: "Says anew what a hook may do.", right: .administer, body: .object(permissions), successes: [one]
        ) { call in
            let (signals, approvals) = try call.permissions()
            return Answer(
                .ok,
                try await call.edit { hook, _ in
                    hook.signals = signals
                    hook.approvals = approvals
                }.shown)
        },
        Operation(
            id: "rotateHook", method: .post, path: "\(hook)/rotate", group: group,
            summary: "Gives a hook another secret. For a day the old one holds as well.", right: .administer, body: .object([]),
            successes: [Success(status: .ok, about: "The new secret, which is not shown again.", schema: .newHook)],
            isSecret: true
        ) { call in
            let hook = try await call.edit { hook, now in
                guard hook.secrets.rotate(to: .random(), at: now, for: call.messageID) else { throw HookSecrets.tooMany }
            }
            return Answer(.ok, Call.told(hook))
        },
        Operation(
            id: "removeHook", method: .post, path: "\(hook)/remove", group: group,
            summary: "Removes a hook. What it has sent stays sent.", right: .administer, body: .object([]),
            successes: [Success(status: .ok, about: "It is gone.", schema: .hook)]
        ) { try await $0.removeHook() },
    ]
}

extension Schema {
    private static let words = Schema.text(.free(atMost: 4_000)), names = Schema.list(.text(.identifier), atMost: 32)
    private static let members: [Member] = [
        .must("id", .text(.identifier)), .must("principal", words),
        .may("signals", .object([.must("names", names), .must("workflows", names)])),

        .may("approvals", .object([.must("workflows", names), .must("roles", .list(words, atMost: 32))])),
        .may("rotated_at", .text(.time)),
        .must("made_at", .text(.time)),
        .must(
            "stewards", .list(words, atMost: 1_000),
            "Who has made it, changed it or rotated its secret: it decides nothing of theirs."),
    ]

    fileprivate static let hook = Schema.named("Hook", .object(members))
    fileprivate static let newHook = Schema.named(
        "NewHook", .object(members + [.must("secret", words, "What messages to it are signed with: keep it.")]))
}

extension Call {
    fileprivate var hookKey: ControlKey { ReceivingHook.key(namespace, path["hook"] ?? "") }
    fileprivate static let noHook = Problem(.notFound, "hook_unknown", "There is no such hook in this namespace.")

    fileprivate static func told(_ hook: ReceivingHook) -> JSONValue {
        var json = hook.shown.objectValue ?? JSONObject()
        json["secret"] = .string(hook.secrets.current.text)
        return .object(json)
    }

    fileprivate func permissions() throws -> (
        signals: (names: [String], workflows: [String])?, approvals: (workflows: [String], roles: [String])?
    ) {
        func names(_ part: String, _ name: String) -> [String]? {
            body[part]?[name]?.arrayValue.map { $0.compactMap(\.stringValue) }
        }
        let signals = names("signals", "names").map { ($0, names("signals", "workflows") ?? []) }
        let approvals = names("approvals", "workflows").map { (workflows: $0, roles: names("approvals", "roles") ?? []) }
        guard signals != nil || approvals != nil else {
            let wish = "has to be there, or 'approvals': it may do nothing otherwise"
            throw Problem(
                .badRequest, "body_invalid", "The body is not as it has to be: '/signals' \(wish).",
                flaws: [Flaw(place: "/signals", wish: wish)])
        }
        // Nobody gives away more than he has.
        for approver in approvals.map({ [Approver.anyone] + $0.roles.map(Approver.role) }) ?? []
        where !rights.mayDecide(approver.description, in: namespace) {
            throw Problem(
                .forbidden, "right_missing",
                "'\(caller.id)' may not decide on what '\(approver.description)' is asked, and so cannot let a hook do it.")
        }
        return (signals, approvals)
    }

    fileprivate func makeHook() async throws -> Answer {
        let (signals, approvals) = try permissions()
        // The same request again, whose answer was not recorded, finds what it has made.
        let id = "hook-" + HookStore.name([namespace, messageID ?? ""])
        let new = ReceivingHook(
            namespace: namespace, id: id, principal: Name.normalized(text("principal") ?? ""), signals: signals,
            approvals: approvals, secrets: HookSecrets(.random()), made: now(), stewards: [caller])
        let all = try await hooks.all(ReceivingHook.kind, in: namespace, as: ReceivingHook.self)
        let headers: HTTPFields = [.location: "/v1/namespaces/\(namespace)/hooks/\(id)"]
        if let known = all.first(where: { $0.record.id == id }) {
            guard known.row.revision == 1 else {
                throw Problem(.conflict, "hook_made", "This request has made a hook before: \(id).")
            }
            return Answer(.created, Self.told(known.record), headers: headers)
        }
        guard all.count < ReceivingHook.most else {
            throw Problem(
                .conflict, "hooks_exhausted",
                "A namespace has at most \(ReceivingHook.most) hooks, and this one has them. Remove one first.")
        }
        guard try await hooks.write(new, on: nil) != nil else {
            throw Problem(.conflict, "hook_made", "This request is being worked on. Look at the hooks there are.")
        }
        return Answer(.created, Self.told(new), headers: headers)
    }

    /// Whoever changes it has to do with it from then on.
    fileprivate func edit(_ change: (inout ReceivingHook, Timestamp) throws -> Void) async throws -> ReceivingHook {
        let now = now()
        let changed = try await hooks.change(hookKey, as: ReceivingHook.self) { hook in
            guard hook.noteSteward(caller) else {
                throw Problem(
                    .conflict, "hook_worn", "\(ReceivingHook.mostStewards) people have had to do with this hook. Make a new one.")
            }
            try change(&hook, now)
            return true
        }
        guard let changed else { throw Self.noHook }
        return changed
    }

    fileprivate func removeHook() async throws -> Answer {
        for _ in 0..<10 {
            guard let held = try await hooks.read(hookKey, as: ReceivingHook.self) else { throw Self.noHook }
            if try await hooks.remove(held) { return Answer(.ok, held.record.shown) }
        }
        throw Problem(.serviceUnavailable, "store_unavailable", "Others keep changing this. Try again soon.")
    }
}
