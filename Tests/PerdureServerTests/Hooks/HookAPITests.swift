import AsyncHTTPClient
import Foundation
import Hummingbird
import NIOHTTP1
import Perdure
import PerdureHistory
import Synchronization
import Testing

@testable import PerdureServer

private struct APIReply: Equatable {
    let status: Int
    let code: String?
}

/// Making and looking after endpoints and hooks over HTTP.
@Suite(.timeLimit(.minutes(5))) struct HookAPITests {
    private static let order: JSONObject = ["url": "https://example.org/hook", "events": ["run.closed", "run.parked"]]

    @Test func `an endpoint is made with a secret that is shown once, changed, and removed`() async throws {
        try await atDesk { desk in
            let made = try await desk.ask("makeEndpoint", Self.order, key: "k"),
                again = try await desk.ask("makeEndpoint", Self.order, key: "k")
            #expect(made.status == 201 && again.json == made.json)
            let id = try #require(made.json["id"]), first = try #require(made.json["secret"]?.stringValue)
            #expect(HookSecret(first) != nil && made.headers.first(name: "location")?.hasSuffix(id.stringValue ?? "-") == true)
            var shown = try await desk.ask("getEndpoint", ["endpoint": id])
            #expect(
                shown.json["url"] == "https://example.org/hook" && shown.json["enabled"] == true
                    && shown.json["made_by"] == "tester")
            shown = try await desk.ask("changeEndpoint", ["endpoint": id, "events": ["approval.requested"], "workflow": "greet"])
            #expect(shown.json["events"] == ["approval.requested"] && shown.json["workflow"] == "greet")
            shown = try await desk.ask("changeEndpoint", ["endpoint": id, "url": "https://example.com", "workflow": .null])
            #expect(shown.json["url"] == "https://example.com/" && shown.json["workflow"] == nil)
            #expect(
                try await desk.ask("disableEndpoint", ["endpoint": id, "reason": "too loud"]).json["disabled_reason"]
                    == "too loud")
            #expect(try await desk.ask("enableEndpoint", ["endpoint": id]).json["enabled"] == true)
            let rotated = try await desk.ask("rotateEndpoint", ["endpoint": id]).json["secret"]?.stringValue
            #expect(rotated.map { HookSecret($0) != nil && $0 != first } == true)
            let list = try await desk.ask("listEndpoints")
            #expect(list.json["endpoints"]?.arrayValue?.count == 1)
            for answer in [shown, list] { #expect(!answer.json.canonicalText.contains("whsec_")) }
            #expect(try await desk.ask("removeEndpoint", ["endpoint": id]).status == 200)
            for operation in ["getEndpoint", "rotateEndpoint", "listDeliveries", "testEndpoint", "removeEndpoint"] {
                #expect(try await desk.ask(operation, ["endpoint": id]).code == "endpoint_unknown")
            }
            #expect(try await desk.ask("listEndpoints").json == ["endpoints": []])
        }
    }

    @Test func `an endpoint of another namespace is not there, and each has so many only`() async throws {
        try await atDesk { desk in
            let id = try #require(try await desk.ask("makeEndpoint", Self.order).json["id"])
            for operation in ["getEndpoint", "changeEndpoint", "enableEndpoint", "listDeliveries", "testEndpoint"] {
                let reply = try await desk.ask(operation, ["namespace": "default-2", "endpoint": id])
                #expect(reply.status == 404, "\(operation)")
            }
            #expect(try await desk.ask("listEndpoints", ["namespace": "default-2"]).json == ["endpoints": []])
            for _ in 1..<Endpoint.most { #expect(try await desk.ask("makeEndpoint", Self.order).status == 201) }
            #expect(try await desk.ask("makeEndpoint", Self.order).code == "endpoints_exhausted")
            var elsewhere = Self.order
            elsewhere["namespace"] = "default-2"
            #expect(try await desk.ask("makeEndpoint", elsewhere).status == 201)
        }
    }

    @Test func `what cannot be an endpoint or a hook is refused, with what is wrong`() async throws {
        try await atDesk { desk in
            let urls: [JSONValue] = [
                "http://example.org", "https://10.0.0.1", "https://[::ffff:10.0.0.1]", "example.org", "https://u@x.org",
            ]
            for url in urls {
                let reply = try await desk.ask("makeEndpoint", ["url": url, "events": ["run.closed"]])
                #expect(reply.code == "body_invalid" && reply.json["errors"]?.arrayValue?.first?["pointer"] == "/url", "\(url)")
            }
            for events: JSONValue in [[], ["run.opened"], "run.closed"] {
                #expect(try await desk.ask("makeEndpoint", ["url": "https://example.org", "events": events]).status == 400)
            }
            #expect(try await desk.ask("makeHook", ["principal": "ci"]).code == "body_invalid")
            #expect(try await desk.ask("makeHook", ["principal": "ci", "signals": ["names": ["go"]]]).code == "body_invalid")
        }
    }

    @Test func `a test event arrives, its delivery is listed, and can be sent once more`() async throws {
        try await receiving { receiver in
            try await atDesk { desk in
                let made = try await desk.ask("makeEndpoint", ["url": .string(receiver.address), "events": ["run.closed"]])
                let id = try #require(made.json["id"]), secret = try #require(HookSecret(made.json["secret"]?.stringValue ?? ""))
                let test = try await desk.ask("testEndpoint", ["endpoint": id])
                #expect(test.status == 202 && test.json["state"] == "pending")
                await receiver.until(1)
                let heard = try #require(receiver.heard.first)
                #expect(heard.json["type"] == "test" && heard.isSigned(secret, Timestamp(Date())))
                try await desk.until(delivered: 1, to: id)
                let list = try await desk.ask("listDeliveries", ["endpoint": id, "state": "delivered", "limit": 1])
                let delivery = try #require(list.json["deliveries"]?.arrayValue?.first)
                #expect(delivery["id"] == test.json["id"] && delivery["last_status"] == 200 && list.json["next"] == nil)
                #expect(try await desk.ask("listDeliveries", ["endpoint": id, "state": "failed"]).json == ["deliveries": []])
                let one: JSONObject = ["endpoint": id, "delivery": try #require(delivery["id"])]
                #expect(try await desk.ask("sendDelivery", one).status == 202)
                await receiver.until(2)
                #expect(receiver.heard.last?.field("webhook-id") == test.json["id"]?.stringValue)
                #expect(try await desk.ask("sendDelivery", ["endpoint": id, "delivery": "other"]).code == "delivery_unknown")
            }
        }
    }

    @Test func `nobody lets a hook decide more than himself, and an operator makes endpoints only`() async throws {
        try await atControl { desk, _ in
            let here = "/v1/namespaces/default"
            func make(_ roles: [String], _ body: JSONValue) async throws -> APIReply {
                let reply = try await desk.ask(.POST, "\(here)/hooks", by: .bearer(try await desk.token(roles)), json: body)
                return APIReply(status: reply.status, code: reply.code)
            }
            let signals: JSONValue = ["principal": "shop", "signals": ["names": ["go"], "workflows": ["wait"]]]
            func approvals(_ roles: [JSONValue]) -> JSONValue {
                ["principal": "risk", "approvals": ["workflows": ["errand"], "roles": .array(roles)]]
            }
            #expect(try await make(["operator"], signals) == APIReply(status: 403, code: "right_missing"))
            #expect(try await make(["admin"], signals) == APIReply(status: 201, code: nil))
            #expect(try await make(["admin"], approvals([])) == APIReply(status: 403, code: "right_missing"))
            #expect(try await make(["admin", "approver"], approvals([])) == APIReply(status: 201, code: nil))
            #expect(try await make(["admin", "approver"], approvals(["finance"])).status == 403)
            #expect(try await make(["admin", "approver:finance"], approvals(["finance"])).status == 201)
            #expect(try await make(["admin", "approver:finance"], approvals(["finance", "legal"])).status == 403)
            let endpoint: JSONValue = ["url": "https://example.org", "events": ["run.closed"]]
            for (role, status) in [("operator", 201), ("viewer", 403)] {
                let credential = ControlDesk.Credential.bearer(try await desk.token([role]))
                #expect(try await desk.ask(.POST, "\(here)/endpoints", by: credential, json: endpoint).status == status)
            }
            // What is allowed at a desk is not where others are served.
            let local: JSONValue = ["url": "http://127.0.0.1:1/", "events": ["run.closed"]]
            let credential = ControlDesk.Credential.bearer(try await desk.token(["operator"]))
            #expect(try await desk.ask(.POST, "\(here)/endpoints", by: credential, json: local).code == "body_invalid")
        }
    }

    @Test func `deliveries come in pages, also those in one state`() async throws {
        try await atDesk { desk in
            let made = try await desk.ask("makeEndpoint", Self.order)
            let id = try #require(made.json["id"]?.stringValue), hooks = HookStore(client: desk.client) { Timestamp(Date()) }
            for number in 0..<25 {
                var delivery = HookDelivery(
                    namespace: "default", endpoint: id, id: "d-\(100 + number)", type: "test", run: nil, seq: nil, body: "{}",
                    made: Timestamp(Date()) + .seconds(3_600))
                if number.isMultiple(of: 5) {
                    delivery.finish(.answered(status: 410, retryAfter: nil), at: delivery.made, jitter: 0)
                }
                _ = try #require(try await hooks.write(delivery, on: nil))
            }
            func walk(_ state: String?, _ limit: Int64) async throws -> [String] {
                var found: [String] = [], after: JSONValue?
                repeat {
                    var question: JSONObject = ["endpoint": .string(id), "limit": .integer(limit)]
                    question["state"] = state.map(JSONValue.string)
                    question["after"] = after
                    let page = try await desk.ask("listDeliveries", question)
                    found += (page.json["deliveries"]?.arrayValue ?? []).compactMap { $0["id"]?.stringValue }
                    after = page.json["next"]
                } while after != nil
                return found
            }
            let all = (0..<25).map { "d-\(100 + $0)" }
            for limit: Int64 in [1, 3, 5, 25, 50] {
                #expect(try await walk(nil, limit) == all)
                #expect(try await walk("failed", limit) == ["d-100", "d-105", "d-110", "d-115", "d-120"])
                #expect(try await walk("delivered", limit).isEmpty)
            }
        }
    }
}

extension APIDesk {
    /// Waits until an endpoint has taken so much.
    func until(delivered count: Int, to endpoint: JSONValue) async throws {
        while try await ask("listDeliveries", ["endpoint": endpoint, "state": "delivered"]).json["deliveries"]?.arrayValue?.count
            != count
        {
            await Task.yield()
        }
    }
}
