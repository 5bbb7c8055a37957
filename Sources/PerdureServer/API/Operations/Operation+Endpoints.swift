internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension Operation {
    private static let group = "Webhooks out"
    private static let endpoints = "\(namespace)/endpoints", endpoint = "\(endpoints)/{endpoint}"
    private static let workflow = Schema.Member.may(
        "workflow", .orNull(.text(.identifier)), "Only events of runs of this workflow.")
    private static let one = Success(status: .ok, about: "As it stands now.", schema: .endpoint)

    static let webhooksOut: [Operation] = [
        Operation(
            id: "makeEndpoint", method: .post, path: endpoints, group: group,
            summary: "Makes an endpoint that is told of events, and gives its secret.", right: .operate,
            body: .object([
                .must("url", .text(.free(atMost: HookAddress.longest)), "Begins with https://."),
                .must("events", .list(.text(.oneOf(HookEvent.allCases.map(\.rawValue))), atMost: 16)), workflow,
            ]),
            successes: [Success(status: .created, about: "It is made. The secret is not shown again.", schema: .newEndpoint)],
            isSecret: true
        ) { try await $0.makeEndpoint() },
        Operation(
            id: "listEndpoints", method: .get, path: endpoints, group: group, summary: "Lists the endpoints of a namespace.",
            right: .operate,
            successes: [
                Success(
                    status: .ok, about: "All of them.",
                    schema: .object([.must("endpoints", .list(.endpoint, atMost: 1_000))]))
            ]
        ) { call in
            let all = try await call.hooks.all(Endpoint.kind, in: call.namespace, as: Endpoint.self).map(\.record)
            return Answer(.ok, ["endpoints": .array(all.filter { $0.removed == nil }.map(\.shown))])
        },
        Operation(
            id: "getEndpoint", method: .get, path: endpoint, group: group, summary: "Shows an endpoint.", right: .operate,
            successes: [one]
        ) { Answer(.ok, try await $0.endpoint().shown) },
        Operation(
            id: "changeEndpoint", method: .post, path: "\(endpoint)/change", group: group,
            summary: "Changes what is named of an endpoint: its address, its events, its workflow.", right: .operate,
            body: .object([
                .may("url", .text(.free(atMost: HookAddress.longest)), "Begins with https://."),
                .may("events", .list(.text(.oneOf(HookEvent.allCases.map(\.rawValue))), atMost: 16)), workflow,
            ]), successes: [one]
        ) { try await $0.changeEndpoint() },
        Operation(
            id: "rotateEndpoint", method: .post, path: "\(endpoint)/rotate", group: group,
            summary: "Gives an endpoint another secret. For a day everything is signed with the old one as well.",
            right: .operate, body: .object([]),
            successes: [Success(status: .ok, about: "The new secret, which is not shown again.", schema: .newEndpoint)],
            isSecret: true
        ) { try await $0.rotateEndpoint() },
        Operation(
            id: "enableEndpoint", method: .post, path: "\(endpoint)/enable", group: group,
            summary: "Sends to an endpoint again that was disabled, and what waits for it.", right: .operate, body: .object([]),
            successes: [one]
        ) { try await $0.editEndpoint { endpoint, _ in endpoint.enable() } },
        Operation(
            id: "disableEndpoint", method: .post, path: "\(endpoint)/disable", group: group,
            summary: "Sends nothing to an endpoint until it is enabled. Events meanwhile are not kept for it.", right: .operate,
            body: .object([.may("reason", .text(.free(atMost: 1_000)))]), successes: [one]
        ) { call in
            let reason = call.text("reason") ?? "\(call.caller.id) has disabled it."
            return try await call.editEndpoint { endpoint, now in endpoint.disable(reason, at: now) }
        },
        Operation(
            id: "removeEndpoint", method: .post, path: "\(endpoint)/remove", group: group,
            summary: "Removes an endpoint with its deliveries.", right: .operate, body: .object([]),
            successes: [Success(status: .ok, about: "It is gone.", schema: .endpoint)]
        ) { try await $0.removeEndpoint() },
        Operation(
            id: "testEndpoint", method: .post, path: "\(endpoint)/test", group: group,
            summary: "Sends an endpoint an event of type 'test'.", right: .operate, body: .object([]),
            successes: [Success(status: .accepted, about: "It is durable, and sent next.", schema: .delivery)]
        ) { try await $0.testEndpoint() },
        Operation(
            id: "listDeliveries", method: .get, path: "\(endpoint)/deliveries", group: group,
            summary: "Lists what was, is and will be sent to an endpoint, in the order of its runs.", right: .operate,
            query: [
                Parameter(
                    name: "state", schema: .text(.oneOf(HookDelivery.State.allCases.map(\.rawValue))),
                    about: "Only those in this state."),
                Parameter(name: "after", schema: .text(.identifier), about: "Only those behind this one."), Call.limitParameter,
            ],
            successes: [
                Success(
                    status: .ok, about: "A page of them; it may be short, or empty, where few are in the state.",
                    schema: .object([
                        .must("deliveries", .list(.delivery, atMost: 1_000)),
                        .may("next", .text(.identifier), "Where the next page begins: its 'after'. Missing at the end."),
                    ]))
            ]
        ) { try await $0.listDeliveries() },
        Operation(
            id: "sendDelivery", method: .post, path: "\(endpoint)/deliveries/{delivery}/send", group: group,
            summary: "Sends a delivery once more, under its id, with all its tries.", right: .operate, body: .object([]),
            successes: [Success(status: .accepted, about: "It is durable, and sent next.", schema: .delivery)]
        ) { try await $0.sendDelivery() },
    ]
}

extension Schema {
    private static let time = Schema.text(.time), words = Schema.text(.free(atMost: 4_000))

    private static let endpointMembers: [Member] = [
        .must("id", .text(.identifier)), .must("url", words), .must("events", .list(.text(.free(atMost: 100)), atMost: 16)),
        .may("workflow", .text(.identifier)), .must("enabled", .bool), .may("disabled_reason", words), .may("disabled_at", time),
        .may("failing_since", time, "Since when everything that was sent to it has failed."), .may("rotated_at", time),
        .must("made_at", time), .must("made_by", words),
    ]

    fileprivate static let endpoint = Schema.named("Endpoint", .object(endpointMembers))
    fileprivate static let newEndpoint = Schema.named(
        "NewEndpoint", .object(endpointMembers + [.must("secret", words, "What its messages are signed with: keep it.")]))

    fileprivate static let delivery = Schema.named(
        "Delivery",
        .object([
            .must("id", .text(.identifier), "The 'webhook-id' of every try."), .must("type", words), .may("run", .text(.run)),
            .may("seq", .integer(1...Int64.max)), .must("state", .text(.oneOf(HookDelivery.State.allCases.map(\.rawValue)))),
            .must("tries", .integer(0...1_000)), .must("made_at", time), .may("last_tried_at", time),
            .may("last_status", .integer(0...999)), .may("last_outcome", words), .may("next_try_at", time),
        ]))
}

extension Call {
    private static let mostScanned = 2_000, scannedAtOnce = 500

    private var endpointKey: ControlKey { Endpoint.key(namespace, path["endpoint"] ?? "") }

    fileprivate func endpoint() async throws -> Endpoint {
        guard let endpoint = try await hooks.read(endpointKey, as: Endpoint.self)?.record, endpoint.removed == nil else {
            throw Self.unknown
        }
        return endpoint
    }

    private static let unknown = Problem(.notFound, "endpoint_unknown", "There is no such endpoint in this namespace.")

    private func edit(_ change: (inout Endpoint, Timestamp) throws -> Void) async throws -> Endpoint {
        let now = now()
        let changed = try await hooks.change(endpointKey, as: Endpoint.self) { endpoint in
            guard endpoint.removed == nil else { throw Self.unknown }
            try change(&endpoint, now)
            return true
        }
        guard let changed else { throw Self.unknown }
        return changed
    }

    fileprivate func editEndpoint(_ change: (inout Endpoint, Timestamp) -> Void) async throws -> Answer {
        Answer(.ok, try await edit(change).shown)
    }

    /// As it is answered once: with the secret.
    private static func told(_ endpoint: Endpoint) -> JSONValue {
        var json = endpoint.shown.objectValue ?? JSONObject()
        json["secret"] = .string(endpoint.secrets.current.text)
        return .object(json)
    }

    // MARK: Making and changing

    fileprivate func makeEndpoint() async throws -> Answer {
        let address = try address(), events = try events()
        // The same request again, whose answer was not recorded, finds what it has made.
        let id = "ep-" + HookStore.name([namespace, messageID ?? ""])
        let new = Endpoint(
            namespace: namespace, id: id, address: address, events: events, workflow: text("workflow"),
            // By the clock that stamps events.
            secrets: HookSecrets(.random()), made: client.store.now(), maker: caller)
        let all = try await hooks.all(Endpoint.kind, in: namespace, as: Endpoint.self)
        if let known = all.first(where: { $0.record.id == id }) {
            guard known.row.revision == 1 else {
                throw Problem(.conflict, "endpoint_made", "This request has made an endpoint before: \(id).")
            }
            return Answer(.created, Self.told(known.record), headers: location(id))
        }
        guard all.count(where: { $0.record.removed == nil }) < Endpoint.most, all.count < 10 * Endpoint.most else {
            throw Problem(
                .conflict, "endpoints_exhausted",
                "A namespace has at most \(Endpoint.most) endpoints, and this one has them. Remove one first.")
        }
        guard try await hooks.write(new, on: nil) != nil else {
            throw Problem(.conflict, "endpoint_made", "This request is being worked on. Look at the endpoints there are.")
        }
        return Answer(.created, Self.told(new), headers: location(id))
    }

    private func location(_ id: String) -> HTTPFields { [.location: "/v1/namespaces/\(namespace)/endpoints/\(id)"] }

    private func address() throws -> HookAddress {
        do throws(HookAddress.Refusal) {
            let address = try HookAddress(text("url") ?? "")
            try address.check(hookTargets)
            return address
        } catch {
            throw Problem(
                .badRequest, "body_invalid", "The body is not as it has to be: '/url' \(error.wish).",
                flaws: [Flaw(place: "/url", wish: error.wish)])
        }
    }

    private func events() throws -> [HookEvent] {
        let named = Set((body["events"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(HookEvent.init) })
        guard !named.isEmpty else {
            throw Problem(
                .badRequest, "body_invalid", "The body is not as it has to be: '/events' has to name an event.",
                flaws: [Flaw(place: "/events", wish: "has to name an event")])
        }
        return HookEvent.allCases.filter(named.contains)
    }

    /// Whether a member is there, were it null.
    private func names(_ member: String) -> Bool { body.objectValue?.keys.contains(member) ?? false }

    fileprivate func changeEndpoint() async throws -> Answer {
        let newAddress: HookAddress? = if names("url") { try address() } else { nil }
        let newEvents: [HookEvent]? = if names("events") { try events() } else { nil }
        return try await editEndpoint { endpoint, _ in
            if let newAddress { endpoint.address = newAddress }
            if let newEvents { endpoint.events = newEvents }
            if let workflow = body["workflow"] { endpoint.workflow = workflow.stringValue }
        }
    }

    fileprivate func rotateEndpoint() async throws -> Answer {
        let endpoint = try await edit { endpoint, now in
            guard endpoint.secrets.rotate(to: .random(), at: now, for: messageID) else { throw HookSecrets.tooMany }
        }
        return Answer(.ok, Self.told(endpoint))
    }

    fileprivate func removeEndpoint() async throws -> Answer {
        let endpoint = try await edit { endpoint, now in
            endpoint.removed = now
            // Nobody needs it any more.
            endpoint.secrets = HookSecrets(.random())
        }
        try await hooks.clear(endpoint.deliveries)
        return Answer(.ok, endpoint.shown)
    }

    // MARK: Deliveries

    fileprivate func testEndpoint() async throws -> Answer {
        let endpoint = try await endpoint(), now = now()
        let delivery = HookDelivery(
            namespace: namespace, endpoint: endpoint.id, id: "test-" + HookStore.name([namespace, endpoint.id, messageID ?? ""]),
            type: "test", run: nil, seq: nil, body: HookNews.text("test", now, ["namespace": .string(namespace)]), made: now)
        _ = try await hooks.write(delivery, on: nil)
        return Answer(.accepted, delivery.shown)
    }

    fileprivate func listDeliveries() async throws -> Answer {
        let endpoint = try await endpoint(), state = query.text("state")
        var found: [HookDelivery] = [], last = query.text("after").map { "\(namespace)/\($0)" }
        var scanned = 0, isEnd = false
        while !isEnd, found.count < limit, scanned < Self.mostScanned {
            let page = try await hooks.page(
                endpoint.deliveries, in: namespace, after: last,
                limit: state == nil ? limit - found.count : Self.scannedAtOnce, as: HookDelivery.self)
            scanned += page.records.count
            var next = page.next
            for (index, held) in page.records.enumerated() where state.map({ $0 == held.record.state.rawValue }) ?? true {
                found.append(held.record)
                guard found.count == limit else { continue }
                if index < page.records.count - 1 { next = held.row.key.key }
                break
            }
            isEnd = next == nil
            last = next ?? last
        }
        var members: JSONObject = ["deliveries": .array(found.map(\.shown))]
        if !isEnd, let last { members["next"] = .string(String(last.dropFirst(namespace.utf8.count + 1))) }
        return Answer(.ok, .object(members))
    }

    fileprivate func sendDelivery() async throws -> Answer {
        let endpoint = try await endpoint(), now = now()
        let key = HookDelivery.key(namespace, endpoint.id, path["delivery"] ?? "")
        let changed = try await hooks.change(key, as: HookDelivery.self) { delivery in
            delivery.sendAgain(at: now)
            return true
        }
        guard let changed else {
            throw Problem(.notFound, "delivery_unknown", "There is no such delivery to this endpoint, or no more.")
        }
        return Answer(.accepted, changed.shown)
    }
}

extension HookSecrets {
    static let tooMany = Problem(
        .conflict, "rotated_too_often", "Several old secrets hold still. Wait until the first of them does not any more.")
}

extension HookStore {
    /// A name that follows from these.
    static func name(_ parts: [String]) -> String {
        let bytes = parts.flatMap { part in Array("\(part.utf8.count):".utf8) + Array(part.utf8) }
        return Hex.encode(SaltedDigest.plain(bytes).prefix(16))
    }
}
