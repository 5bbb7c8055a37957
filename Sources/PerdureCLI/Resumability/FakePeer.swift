import Foundation
import PerdureExamples
import PerdureTesting
import Synchronization

/// The other side of the example workflows in memory: the part of `PerdurePeer` that they use, without HTTP and without failures of its own.
final class FakePeer: PeerTransport, TestWorld {
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
    init(knowsKeys: Bool = true, service: String? = nil) {
        self.knowsKeys = knowsKeys
        var state = State()
        if let service {
            state.accounts["a0"] = AccountRow(name: service, roles: ["reader", "writer"])
            state.keys["k0"] = service
            state.active[service] = "k0"
        }
        self.state = Mutex(state)
    }

    /// A client of this other side.
    var client: PeerClient { PeerClient(address: "memory", transport: self) }

    var effects: [String: Int] {
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

    func send(_ call: PeerCall, to address: String) async throws -> PeerReply {
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
