import AsyncHTTPClient
import Foundation
import HTTPTypes
import NIOHTTP1
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureServer

/// API tokens, and sessions that are begun with them.
@Suite(.timeLimit(.minutes(5))) struct APITokenTests {
    @Test func `a token is shown once, is kept as a hash, and no name is given twice`() async throws {
        try await atControl { desk, place in
            let admin = try await desk.token(["admin"])
            let order: JSONValue = ["name": "ci", "roles": ["starter"], "expires_in_seconds": 600]
            let made = try await desk.ask(.POST, "/v1/namespaces/default/tokens", by: .bearer(admin), json: order)
            let text = try #require(made.json["token"]?.stringValue)
            #expect(made.status == 201 && text.hasPrefix("perdure_") && made.json["about"]?["name"] == "default/ci")
            let again = try await desk.ask(.POST, "/v1/namespaces/default/tokens", by: .bearer(admin), json: order)
            #expect(again.status == 409 && again.code == "token_conflict")
            let listed = try await desk.ask(.GET, "/v1/namespaces/default/tokens", by: .bearer(admin))
            #expect(listed.json["tokens"]?.arrayValue?.count == 2 && !listed.text.contains(text))
            let me = try await desk.ask(.GET, "/v1/me", by: .bearer(text))
            #expect(me.json["id"] == "token:default/ci" && me.json["roles"] == ["default": ["starter"]])
            // Neither the store nor the answers that are kept have it.
            for file in try FileManager.default.contentsOfDirectory(atPath: place.folder.path) {
                let bytes = try Data(contentsOf: place.folder.appending(path: file))
                #expect(
                    bytes.range(of: Data(text.utf8)) == nil && bytes.range(of: Data(text.dropFirst(8).utf8)) == nil, "\(file)")
            }
        }
    }

    @Test func `the same request for a token again makes none and shows none`() async throws {
        try await atControl { desk, _ in
            let admin = try await desk.token(["admin"])
            let order: JSONValue = ["name": "ci", "roles": ["starter"], "expires_in_seconds": 600]
            let key = [("idempotency-key", "\"k\"")]
            let made = try await desk.ask(.POST, "/v1/namespaces/default/tokens", by: .bearer(admin), json: order, headers: key)
            let again = try await desk.ask(.POST, "/v1/namespaces/default/tokens", by: .bearer(admin), json: order, headers: key)
            #expect(made.status == 201 && again.status == 409)
            let kept = try await desk.client.store.controls(.all(kind: RequestRecords.kind, after: nil, limit: 100))
            #expect(!kept.contains { String(decoding: $0.value, as: UTF8.self).contains("perdure_") })
        }
    }

    @Test func `a revoked token is worth nothing from the next request on, and neither is a session that was begun with it`()
        async throws
    {
        try await atControl { desk, _ in
            let admin = try await desk.token(["admin"]), viewer = try await desk.token(["viewer"], as: "v")
            let session = try await desk.session(viewer)
            #expect(try await desk.ask(.GET, "/namespaces/default", by: .session(session)).status == 200)
            let revoked = try await desk.ask(
                .POST, "/v1/namespaces/default/tokens/v/revoke", by: .bearer(admin), json: [:])
            #expect(revoked.status == 200 && revoked.json["revoked_by"]?.stringValue?.hasPrefix("token:default/t-") == true)
            #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(viewer)).status == 401)
            #expect(try await desk.ask(.GET, "/namespaces/default", by: .session(session)).status == 303)
            let unknown = try await desk.ask(
                .POST, "/v1/namespaces/default/tokens/w/revoke", by: .bearer(admin), json: [:])
            #expect(unknown.status == 404 && unknown.code == "token_unknown")
        }
    }

    @Test func `a token is worth nothing when its time is over, and a made-up one never`() async throws {
        try await atControl { desk, _ in
            let clock = Mutex(Timestamp(Date()))
            let tokens = APITokens(client: desk.client) { clock.withLock { $0 } }
            let text = try await tokens.make(
                name: "brief", namespace: "default", roles: ["viewer"], lifetime: .seconds(60), maker: "tests")
            #expect(try await tokens.valid(text) != nil)
            clock.withLock { $0 = $0 + .seconds(60) }
            #expect(try await tokens.valid(text) == nil)
            for wrong in [
                "perdure_", "perdure_x", String(text.dropLast()), text + "x", "perdure_" + String(repeating: "a", count: 10_000),
            ] {
                #expect(try await tokens.valid(wrong) == nil, "\(wrong.prefix(20))")
                #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(wrong)).status == (wrong.count > 9_000 ? 401 : 401))
            }
            for (name, roles, lifetime) in [
                ("", ["viewer"], 60), ("a b", ["viewer"], 60), ("ok", [], 60), ("ok", ["king"], 60), ("ok", ["viewer"], 59),
                ("ok", ["viewer"], 367 * 86_400),
            ] {
                let error = await #expect(throws: PerdureError.self) {
                    _ = try await tokens.make(
                        name: name, namespace: "default", roles: roles, lifetime: .seconds(lifetime), maker: "tests")
                }
                #expect(error?.code == .usage)
            }
        }
    }

    @Test func `a token that no name leads to is worth nothing, and of two under one name there is one`() async throws {
        try await atControl { desk, _ in
            let texts = try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<8 { group.addTask { try? await desk.token(["viewer"], as: "ci") } }
                return try await group.reduce(into: [String]()) { found, text in if let text { found.append(text) } }
            }
            #expect(texts.count == 1)
            let rows = try await desk.client.store.controls(.all(kind: APITokens.kind, after: nil, limit: 100))
            #expect(rows.count == 1)
            // What a crash between the two has left.
            let orphan = try #require(APIToken(rows[0].value)), name = ControlKey(APITokens.nameKind, orphan.id)
            #expect(try await desk.client.store.changeControl(.remove(name, on: 1)))
            #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(texts[0])).status == 401)
            let again = try await desk.token(["viewer"], as: "ci")
            #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(again)).status == 200)
            #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(texts[0])).status == 401)
        }
    }

    @Test func `nobody gives what they do not have, and a token makes no admin`() async throws {
        try await atControl { desk, _ in
            func make(_ roles: [JSONValue], by token: String) async throws -> ControlDesk.Reply {
                try await desk.ask(
                    .POST, "/v1/namespaces/default/tokens", by: .bearer(token),
                    json: ["name": .string("t-\(UUID())"), "roles": .array(roles), "expires_in_seconds": 600])
            }
            let admin = try await desk.token(["admin"]), both = try await desk.token(["admin", "approver:finance"])
            for roles in [["approver"], ["approver:finance"], ["viewer", "approver:sales"], ["admin"]] as [[JSONValue]] {
                #expect(try await make(roles, by: admin).code == "right_missing", "\(roles)")
            }
            #expect(try await make(["operator", "auditor"], by: admin).status == 201)
            let given = try await make(["approver:finance"], by: both)
            #expect(given.status == 201)
            #expect(try await make(["approver:sales"], by: both).status == 403)
            // However long the line of tokens, whoever stands at its beginning acts.
            let me = try await desk.ask(.GET, "/v1/me", by: .bearer(try #require(given.json["token"]?.stringValue)))
            let last = Principal(
                .workload, try #require(me.json["id"]?.stringValue),
                authentication: try #require(me.json["authentication"]?.stringValue))
            #expect(last.mayBe(Principal(.human, "tests", authentication: "oidc")) && !last.mayBe(Principal(.human, "ada")))
        }
    }

    @Test func `an admin of everything signs somebody out wherever they are`() async throws {
        try await atControl { desk, _ in
            let token = try await desk.token(["viewer"], as: "v"),
                other = try await desk.session(try await desk.token(["viewer"]))
            let sessions = [try await desk.session(token), try await desk.session(token)]
            let admin = try await desk.token(["admin"], in: "*")
            let ended = try await desk.ask(
                .POST, "/v1/sessions/end", by: .bearer(admin), json: ["id": "token:default/v"])
            #expect(ended.json == ["ended": 2])
            for session in sessions {
                #expect(try await desk.ask(.GET, "/namespaces/default", by: .session(session)).status == 303)
            }
            #expect(try await desk.ask(.GET, "/namespaces/default", by: .session(other)).status == 200)
        }
    }

    // Promise: 23
    @Test func `whoever made a token cannot approve what it has started`() async throws {
        try await atControl { desk, _ in
            let token = try await desk.token(["starter", "approver"], as: "bot")
            let run = try await desk.start("errand", ["item": "bread", "fails": false], by: .bearer(token))
            try await desk.client.wait { try await !$0.pendingQuestions(of: run).isEmpty }
            try await desk.client.answer(run, question: "size", with: "big", by: Principal(.human, "carol"))
            try await desk.client.wait { try await !$0.pendingApprovals(of: run).isEmpty }
            let approval = try #require(try await desk.client.pendingApprovals(of: run).first)
            let maker = Principal(.human, "tests", authentication: "oidc https://id.example")
            let error = await #expect(throws: PerdureError.self) {
                try await desk.client.decide(approval, approve: true, by: maker)
            }
            #expect(error?.code == .approvalNotPermitted)
            let own = try await desk.ask(
                .POST, "/v1/namespaces/default/runs/\(run)/decide", by: .bearer(token),
                json: ["step": .string(approval.step), "digest": .string(approval.digest), "approve": true])
            #expect(own.status == 403 && own.code == "approval_not_permitted")
        }
    }

    // Promise: 21
    @Test func `an approval that asks for a role is decided by those who hold it, and by nobody else`() async throws {
        try await atControl { desk, _ in
            let starter = try await desk.token(["starter"])
            let finance = try await desk.tokens.make(
                name: "cfo", namespace: "default", roles: ["approver:finance"], lifetime: .seconds(600), maker: "tests",
                person: "carol")
            let run = try await desk.start("payment", 100, by: .bearer(starter))
            try await desk.client.wait { try await !$0.pendingApprovals(of: run).isEmpty }
            let approval = try #require(try await desk.client.pendingApprovals(of: run).first)
            let decision: JSONValue = [
                "step": .string(approval.step), "digest": .string(approval.digest), "approve": true, "reason": "budget 7",
            ]
            for roles in [["approver"], ["approver:sales"], ["approver", "operator", "admin"]] {
                let other = try await desk.token(roles)
                for approve in [true, false] {
                    var decision = decision.objectValue ?? JSONObject()
                    decision["approve"] = .bool(approve)
                    let reply = try await desk.ask(
                        .POST, "/v1/namespaces/default/runs/\(run)/decide", by: .bearer(other), json: .object(decision))
                    #expect(reply.status == 403 && reply.code == "approval_not_permitted", "\(roles)")
                }
                let page = try await desk.ask(
                    .GET, "/namespaces/default/approvals/\(run)?step=pay", by: .session(try await desk.session(other)))
                #expect(page.text.contains("you are not among them") && !page.text.contains(">Approve<"))
            }
            let reply = try await desk.ask(
                .POST, "/v1/namespaces/default/runs/\(run)/decide", by: .bearer(finance), json: decision)
            #expect(reply.status == 202, "\(reply.text)")
            try await desk.client.wait { try await $0.run(run).isClosed }
            let decided = try #require(try await desk.client.history(of: run).first { $0.kind == .approvalDecided })
            let by = try #require(decided.attribute("by")?.objectValue)
            #expect(by["id"] == "token:default/cfo" && by["authentication"] == "API token, issued by carol")
        }
    }
}
