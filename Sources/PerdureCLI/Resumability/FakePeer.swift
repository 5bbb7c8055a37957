import Foundation
package import PerdureExamples
import PerdureTesting
import Synchronization

/// The other side of the example workflows in memory: the part of `PerdurePeer` that they use, without HTTP, and with the misfortunes that
/// it is told to have.
package final class FakePeer: PeerTransport, TestWorld {
    /// What goes wrong with requests to one place, until it has gone wrong often enough.
    package struct Trouble: Sendable {
        package enum Kind: Sendable {
            /// Nothing is done, and there is no answer.
            case isDown
            /// It is done, and there is no answer.
            case losesAnswer
            /// Nothing is done, for good.
            case refuses
            /// Nothing is done, and the request ends when nobody waits for it any more.
            case hangs
        }

        let kind: Kind
        let path: String
        var times: Int

        /// - Parameter path: How the paths of the requests begin.
        package init(_ kind: Kind, at path: String, times: Int = .max) {
            self.kind = kind
            self.path = path
            self.times = times
        }
    }

    private struct Charge {
        let order: String
        var isRefunded = false
    }

    private struct AccountRow {
        let name: String
        var roles: [String] = []
    }

    private struct State {
        var last = 0
        var replies: [String: PeerReply] = [:]
        var charges: [String: Charge] = [:]
        var keys: [String: String] = [:]
        var active: [String: String] = [:]
        var accounts: [String: AccountRow] = [:]
        var mails: [String: Int] = [:]
        var troubles: [Trouble] = []
        /// What changed something, in order.
        var changes: [String] = []

        /// What goes wrong with this request, if anything does.
        mutating func trouble(at path: String, _ method: String) -> Trouble.Kind? {
            // Who only asks is answered unless the place is down or hangs.
            let place = troubles.firstIndex { trouble in
                let isMeant: Bool =
                    switch trouble.kind {
                    case .isDown, .hangs: true
                    case .losesAnswer, .refuses: method != "GET"
                    }
                return isMeant && trouble.times > 0 && path.hasPrefix(trouble.path)
            }
            guard let place else { return nil }
            if troubles[place].times != .max { troubles[place].times -= 1 }
            return troubles[place].kind
        }

        mutating func id(_ prefix: String) -> String {
            last += 1
            return "\(prefix)\(last)"
        }
    }

    private let knowsKeys: Bool
    private let state: Mutex<State>

    /// - Parameters:
    ///   - knowsKeys: Whether a request with the key of an earlier one gets the earlier one's answer.
    ///   - service: A service account that is there already, with two roles and a token.
    ///   - troubles: What goes wrong, the first one that fits a request first.
    package init(knowsKeys: Bool = true, service: String? = nil, troubles: [Trouble] = []) {
        self.knowsKeys = knowsKeys
        var state = State()
        if let service {
            state.accounts["a0"] = AccountRow(name: service, roles: ["reader", "writer"])
            state.keys["k0"] = service
            state.active[service] = "k0"
        }
        state.troubles = troubles
        self.state = Mutex(state)
    }

    /// A client of this other side.
    package var client: PeerClient { PeerClient(address: "memory", transport: self) }

    /// Every request that changed something, in the order in which that happened.
    package var changes: [String] { state.withLock { $0.changes } }

    /// Has these things go wrong from now on, and nothing else.
    package func suffer(_ troubles: Trouble...) { state.withLock { $0.troubles = troubles } }

    package var effects: [String: Int] {
        state.withLock { state in
            var effects = state.mails
            for charge in state.charges.values where !charge.isRefunded { effects["charge of \(charge.order)", default: 0] += 1 }
            for service in state.keys.values { effects["key of \(service)", default: 0] += 1 }
            for service in state.active.keys { effects["\(service) uses a key", default: 0] += 1 }
            for account in state.accounts.values {
                effects["account \(account.name)", default: 0] += 1
                for role in account.roles { effects["\(account.name) is \(role)", default: 0] += 1 }
            }
            return effects
        }
    }

    package func send(_ call: PeerCall, to address: String) async throws -> PeerReply {
        let trouble = state.withLock { $0.trouble(at: call.path, call.method) }
        switch trouble {
        case .isDown: throw NoAnswer()
        case .refuses: return PeerReply(status: 403)
        case .hangs:
            try await Self.hang()
            throw NoAnswer()
        case .losesAnswer, nil: break
        }
        let reply = try answer(call)
        if trouble != nil { throw NoAnswer() }
        return reply
    }

    private struct NoAnswer: Error {}

    /// Returns when the task is cancelled.
    private static func hang() async throws {
        let (never, source) = AsyncStream.makeStream(of: Void.self)
        for await _ in never {}
        source.finish()
        try Task.checkCancellation()
    }

    private func answer(_ call: PeerCall) throws -> PeerReply {
        let parts = call.path.split(separator: "?", maxSplits: 1)
        let path = (parts.first ?? "").split(separator: "/").map { $0.removingPercentEncoding ?? String($0) }
        let query =
            parts.count > 1 ? parts[1].split(separator: "=", maxSplits: 1).last.map { $0.removingPercentEncoding ?? "" } : nil
        let body = try call.body.map { try JSONDecoder().decode([String: Value].self, from: $0) } ?? [:]
        let key = knowsKeys ? call.headers.first { $0.name == "Idempotency-Key" }?.value : nil
        return try state.withLock { state in
            if let key, let known = state.replies[key] { return known }
            let reply = try Self.answer(call.method, path, query ?? "", body.mapValues(\.text), &state)
            if let key { state.replies[key] = reply }
            if call.method != "GET", reply.status == 200 { state.changes.append("\(call.method) \(call.path)") }
            return reply
        }
    }

    // MARK: Routes

    private static func answer(
        _ method: String, _ path: [String], _ query: String, _ body: [String: String], _ state: inout State
    ) throws -> PeerReply {
        switch (method, path.first ?? "") {
        case (_, "payments"): try payments(method, path, query, body, &state)
        case (_, "vault"): try vault(method, path, body, &state)
        case (_, "directory"): try directory(method, path, query, body, &state)
        case ("POST", "mail"):
            try reply(state.mails["mail '\(body["template"] ?? "")' to \(body["to"] ?? "")", default: 0] += 1)
        default: PeerReply(status: 404)
        }
    }

    private static func payments(
        _ method: String, _ path: [String], _ query: String, _ body: [String: String], _ state: inout State
    ) throws -> PeerReply {
        switch (method, path.last ?? "") {
        case ("POST", "charges"):
            let id = state.id("c")
            state.charges[id] = Charge(order: body["order"] ?? "")
            return try reply(["id": id])
        case ("POST", "refunds"): return try reply(state.charges[body["charge"] ?? ""]?.isRefunded = true)
        default:
            struct Entry: Encodable { let id: String, refunded: Bool }
            let found = state.charges.filter { $0.value.order == query }.sorted { $0.key < $1.key }
            return try reply(["charges": found.map { Entry(id: $0.key, refunded: $0.value.isRefunded) }])
        }
    }

    private static func vault(
        _ method: String, _ path: [String], _ body: [String: String], _ state: inout State
    ) throws -> PeerReply {
        switch (method, path.dropFirst().first ?? "", path.last ?? "") {
        case ("POST", "keys", "revoke"):
            let key = path[2]
            if let service = state.keys.removeValue(forKey: key), state.active[service] == key { state.active[service] = nil }
            return try reply()
        case ("POST", "keys", _):
            let id = state.id("k")
            state.keys[id] = body["service"]
            return try reply(["id": id])
        case ("POST", "services", _):
            state.active[path[2]] = body["key"]
            return try reply()
        default: return try state.active[path[2]].map { try reply(["key": $0]) } ?? PeerReply(status: 404)
        }
    }

    private static func directory(
        _ method: String, _ path: [String], _ query: String, _ body: [String: String], _ state: inout State
    ) throws -> PeerReply {
        switch (method, path.count) {
        case ("POST", 2):
            let id = state.id("a")
            state.accounts[id] = AccountRow(name: body["name"] ?? "")
            return try reply(["id": id])
        case ("POST", _): return try reply(state.accounts[path[2]]?.roles.append(body["role"] ?? ""))
        case ("DELETE", 3): return try reply(state.accounts[path[2]] = nil)
        case ("DELETE", _): return try reply(state.accounts[path[2]]?.roles.removeAll { $0 == path[4] })
        default:
            struct Entry: Encodable { let id: String, roles: [String] }
            let found = state.accounts.filter { $0.value.name == query }.sorted { $0.key < $1.key }
            return try reply(["accounts": found.map { Entry(id: $0.key, roles: $0.value.roles) }])
        }
    }

    private static func reply(_ done: Void? = ()) throws -> PeerReply { PeerReply(status: 200, body: Data("{}".utf8)) }
    private static func reply(_ body: some Encodable) throws -> PeerReply {
        PeerReply(status: 200, body: try JSONEncoder().encode(body))
    }

    /// Texts and numbers alike.
    private struct Value: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            text = try (try? container.decode(String.self)) ?? String(container.decode(Int.self))
        }
    }
}
