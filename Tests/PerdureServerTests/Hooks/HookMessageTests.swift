import AsyncHTTPClient
import Foundation
import NIOHTTP1
import Perdure
import PerdureEngine
import PerdureHistory
import Testing

@testable import PerdureServer

/// Another system that knows the secret of a hook.
private struct Caller: Sendable {
    let desk: APIDesk
    let id: String
    let secret: HookSecret

    init(_ desk: APIDesk, _ members: JSONObject, as name: String? = nil) async throws {
        let made = try await desk.ask("makeHook", members, as: name)
        self.desk = desk
        id = try #require(made.json["id"]?.stringValue, "\(made.json.canonicalText)")
        secret = try #require(HookSecret(made.json["secret"]?.stringValue ?? ""))
    }

    func tell(
        _ body: JSONValue, id message: String = UUID().uuidString, type: String = "application/json", after: Int64 = 0,
        secret: HookSecret? = nil, headers: [(String, String)] = [], hook: String? = nil,
        change: (inout HTTPClientRequest) -> Void = { _ in }
    ) async throws -> APIDesk.Reply {
        let bytes = body == .null ? [] : body.canonicalBytes, time = Int64(Date().timeIntervalSince1970) + after
        var request = HTTPClientRequest(url: "\(desk.address)/v1/namespaces/default/hooks/\(hook ?? id)")
        request.method = .POST
        request.headers = HTTPHeaders(headers)
        request.headers.add(name: "content-type", value: type)
        request.headers.add(name: "webhook-id", value: message)
        request.headers.add(name: "webhook-timestamp", value: String(time))
        request.headers.add(
            name: "webhook-signature",
            value: WebhookSignature.field(id: message, time: time, body: bytes, secrets: [secret ?? self.secret]))
        request.body = .bytes(bytes)
        change(&request)
        return try await desk.send(request)
    }
}

private let mayGo: JSONObject = ["principal": "shop", "signals": ["names": ["go"], "workflows": ["wait"]]]

/// Webhooks that come in.
@Suite(.timeLimit(.minutes(5))) struct HookMessageTests {
    @Test func `a signal reaches its run once, and history says through which hook`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo)
            let run = try await desk.start("wait", "x")
            let signal: JSONValue = ["run": .string(run), "signal": "go", "payload": "now"]
            let first = try await caller.tell(signal, id: "m1")
            #expect(first.status == 200 && first.json == ["run": .string(run), "accepted": true])
            try await desk.until(run, is: "completed")
            // Its run is over, and it is answered as it was.
            let again = try await caller.tell(signal, id: "m1")
            #expect(again.status == 200 && again.json == first.json)
            #expect(again.headers.first(name: "idempotency-replayed") == "true")
            let id = try #require(RunID(run)), events = try await desk.client.history(of: id)
            let received = events.filter { $0.kind == .signalReceived }
            #expect(received.count == 1)
            let by = try received.first?.attributes.object()["by"]
            #expect(by?.canonicalText.contains("webhook:\(caller.id)") == true && by?.canonicalText.contains("shop") == true)
            #expect(try await desk.ask("getResult", ["run": .string(run)]).json["output"] == "now")
        }
    }

    @Test func `a run is found by its key, and a message that was too early can be sent again`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo)
            let signal: JSONValue = ["workflow": "wait", "key": "order/7", "signal": "go", "payload": "by key"]
            #expect(try await caller.tell(signal, id: "m1").code == "run_unknown")
            let run = try await desk.start("wait", "x", ["key": "order/7"])
            #expect(try await caller.tell(signal, id: "m1").json["run"] == .string(run))
            try await desk.until(run, is: "completed")
        }
    }

    @Test func `whatever is wrong with who sends it, the answer is the same`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo)
            let run = try await desk.start("wait", "x")
            let signal: JSONValue = ["run": .string(run), "signal": "go"]
            let replies = [
                try await caller.tell(signal, secret: .random()), try await caller.tell(signal, after: -301),
                try await caller.tell(signal, after: 301), try await caller.tell(signal, hook: "hook-unknown"),
                try await caller.tell(signal, id: "with.dot"),
                try await caller.tell(signal) { $0.headers.remove(name: "webhook-signature") },
                try await caller.tell(signal) { $0.headers.remove(name: "webhook-id") },
                try await caller.tell(signal) { $0.headers.remove(name: "webhook-timestamp") },
                try await caller.tell(signal) { $0.headers.add(name: "webhook-id", value: "other") },
                try await caller.tell(signal) { $0.headers.replaceOrAdd(name: "webhook-id", value: "other") },
                try await caller.tell(signal) { $0.body = .bytes(Array("{}".utf8)) },
                // Not even whether it could be read.
                try await caller.tell(signal, type: "text/plain", secret: .random()),
                try await caller.tell("nonsense", secret: .random()),
            ]
            for reply in replies {
                #expect(reply.status == 401 && reply.code == "webhook_refused" && reply.json == replies[0].json)
                #expect(reply.headers.first(name: "www-authenticate") != nil)
            }
            #expect(try await desk.client.run(#require(RunID(run))).state == "waiting")
            #expect(try await caller.tell(signal, after: -290).status == 200)
        }
    }

    @Test func `one id is one message, and what a hook was not made for it cannot do`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo)
            let run = try await desk.start("wait", "x"), other = try await desk.start("wait", "y")
            #expect(try await caller.tell(["run": .string(run), "signal": "go", "payload": "a"], id: "m").status == 200)
            let conflict = try await caller.tell(["run": .string(other), "signal": "go", "payload": "a"], id: "m")
            #expect(conflict.status == 422 && conflict.code == "message_conflict")
            let counter = try await desk.start("counter", 1)
            for refused: JSONValue in [
                ["run": .string(counter), "signal": "go"], ["run": .string(other), "signal": "stop"],
                ["approval": .string("\(other)/buy"), "digest": "x", "decision": "approve"],
            ] {
                let reply = try await caller.tell(refused)
                #expect(reply.status == 403 && reply.code == "hook_not_permitted")
            }
            #expect(try await desk.client.run(#require(RunID(other))).state == "waiting")
        }
    }

    @Test func `a message that cannot be is refused, with what is wrong`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo)
            let run = JSONValue.string(try await desk.start("wait", "x"))
            let cases: [JSONValue] = [
                [:], [], ["signal": "go"], ["run": run], ["run": run, "workflow": "wait", "key": "k", "signal": "go"],
                ["workflow": "wait", "signal": "go"], ["run": "x", "signal": "go"], ["run": run, "signal": "go", "more": 1],
                ["approval": "x", "digest": "d", "decision": "approve"],
                ["approval": .string("\(run)/x"), "digest": "d", "decision": "maybe"],
            ]
            for message in cases { #expect(try await caller.tell(message).code == "body_invalid", "\(message.canonicalText)") }
            #expect(try await caller.tell(["run": run, "signal": "go"], type: "text/plain").code == "media_type_unsupported")
            let large = JSONValue.string(String(repeating: "x", count: 257 << 10))
            #expect(try await caller.tell(["run": run, "signal": "go", "payload": large]).status == 413)
        }
    }

    @Test func `a changed secret holds beside the old one, and a removed hook takes nothing`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo), id = JSONValue.string(caller.id)
            let signal: JSONValue = ["run": .string(try await desk.start("wait", "x")), "signal": "go"]
            let rotated = try await desk.ask("rotateHook", ["hook": id], as: "bob")
            let new = try #require(HookSecret(rotated.json["secret"]?.stringValue ?? ""))
            #expect(try await caller.tell(signal, id: "m").status == 200)
            #expect(try await caller.tell(signal, id: "m", secret: new).status == 200)
            #expect(try await desk.ask("getHook", ["hook": id]).json["stewards"] == ["tester", "bob"])
            #expect(try await desk.ask("listHooks").json["hooks"]?.arrayValue?.count == 1)
            #expect(try await desk.ask("getHook", ["namespace": "other", "hook": id]).code == "hook_unknown")
            #expect(try await desk.ask("removeHook", ["hook": id]).status == 200)
            #expect(try await caller.tell(signal).status == 401)
            #expect(try await desk.ask("getHook", ["hook": id]).status == 404)
        }
    }
}

/// Decisions that come from other systems.
@Suite(.timeLimit(.minutes(5))) struct HookDecisionTests {
    private static let mayDecide: JSONObject = ["principal": "risk", "approvals": ["workflows": ["errand"]]]

    /// Starts a run that asks for an approval, and gives what is to be decided.
    private static func approval(_ desk: APIDesk, as name: String) async throws -> JSONObject {
        let run = try await desk.start("errand", ["item": "boat", "fails": false], as: name)
        let id = try #require(RunID(run))
        try await desk.client.wait { try await !$0.pendingQuestions(of: id).isEmpty }
        #expect(
            try await desk.ask("answerQuestion", ["run": .string(run), "question": "size", "answer": "small"], as: "carol").status
                == 202)
        try await desk.client.wait { try await !$0.pendingApprovals(of: id).isEmpty }
        let open = try #require(try await desk.client.pendingApprovals(of: id).first)
        return [
            "approval": .string(ApprovalID(run: id, step: open.step).text), "digest": .string(open.digest), "decision": "approve",
            "comment": "looks good",
        ]
    }

    private static func run(_ decision: JSONObject) -> String { String(decision["approval"]?.stringValue?.prefix(36) ?? "") }

    // Promise: 21, 23
    @Test func `an approval is decided by a hook on exactly what was shown, and history says who`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, Self.mayDecide, as: "ada")
            var decision = try await Self.approval(desk, as: "bob")
            let right = decision["digest"]
            decision["digest"] = "another view"
            #expect(try await caller.tell(.object(decision)).code == "approval_mismatch")
            decision["digest"] = right
            #expect(try await caller.tell(.object(decision), id: "m").status == 200)
            let run = Self.run(decision)
            try await desk.until(run, is: "completed")
            #expect(try await caller.tell(.object(decision), id: "m").status == 200)
            let events = try await desk.client.history(of: #require(RunID(run)))
            let decided = try #require(events.first { $0.kind == .approvalDecided })
            let text = decided.attributes.text
            #expect(text.contains("webhook:\(caller.id)") && text.contains("risk") && text.contains("looks good"))
        }
    }

    // Promise: 23
    @Test func `a hook decides nothing that it, or anybody who has had to do with it, has started`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, Self.mayDecide, as: "ada"), id = JSONValue.string(caller.id)
            for starter in ["ada", "risk"] {
                let decision = try await Self.approval(desk, as: starter)
                let reply = try await caller.tell(.object(decision))
                #expect(reply.status == 403 && reply.code == "approval_not_permitted", "\(starter)")
            }
            // Who has seen its secret could have signed.
            let ofBob = try await Self.approval(desk, as: "bob")
            #expect(try await desk.ask("rotateHook", ["hook": id], as: "bob").status == 200)
            #expect(try await caller.tell(.object(ofBob)).code == "approval_not_permitted")
            let ofDora = try await Self.approval(desk, as: "dora")
            #expect(
                try await desk.ask("changeHook", ["hook": id, "approvals": ["workflows": ["errand"]]], as: "dora").status == 200)
            #expect(try await caller.tell(.object(ofDora)).code == "approval_not_permitted")
            var denial = try await Self.approval(desk, as: "eve")
            denial["decision"] = "deny"
            #expect(try await caller.tell(.object(denial)).status == 200)
            try await desk.until(Self.run(denial), is: "failed")
        }
    }
}

/// The way out and the way in together, over an engine that runs.
@Suite(.timeLimit(.minutes(5))) struct HookRoundTests {
    @Test func `what a run asks for is told outside, decided from there, and its end is told`() async throws {
        try await receiving { receiver in
            try await atDesk { desk in
                let caller = try await Caller(desk, ["principal": "risk", "approvals": ["workflows": ["errand"]]])
                let order: JSONObject = ["url": .string(receiver.address), "events": ["approval.requested", "run.closed"]]
                #expect(try await desk.ask("makeEndpoint", order).status == 201)
                let run = try await desk.start("errand", ["item": "secret boat", "fails": false], as: "bob"),
                    id = try #require(RunID(run))
                try await desk.client.wait { try await !$0.pendingQuestions(of: id).isEmpty }
                let answer: JSONObject = ["run": .string(run), "question": "size", "answer": "small"]
                #expect(try await desk.ask("answerQuestion", answer, as: "carol").status == 202)
                await receiver.until(1)
                let asked = try #require(receiver.heard.first?.json["data"])
                #expect(receiver.heard.first?.json["type"] == "approval.requested" && asked["run"] == .string(run))
                let approval = try #require(asked["approval"]), digest = try #require(asked["digest"])
                #expect(try await caller.tell(["approval": approval, "digest": digest, "decision": "approve"]).status == 200)
                await receiver.until(2)
                let told = try #require(receiver.heard.last?.json),
                    last = try #require(try await desk.client.history(of: id).last)
                #expect(told["type"] == "run.closed" && told["data"]?["state"] == "completed")
                #expect(told["data"]?["seq"] == .integer(last.seq) && told["data"]?["hash"] == .string(last.hash.description))
                for heard in receiver.heard { #expect(!String(decoding: heard.body, as: UTF8.self).contains("boat")) }
            }
        }
    }
}

/// CloudEvents that come as signals.
@Suite(.timeLimit(.minutes(5))) struct CloudEventTests {
    private static let structured = "application/cloudevents+json; charset=utf-8"

    private static func event(_ subject: String, _ id: String = "e1", data: JSONValue = "done") -> JSONObject {
        [
            "specversion": "1.0", "type": "go", "source": "/shop", "id": .string(id), "subject": .string(subject),
            "time": "2026-01-31T12:00:00Z", "level": 3, "datacontenttype": "application/json", "data": data,
        ]
    }

    @Test func `an event is a signal, once, in whichever messages it comes`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo)
            let run = try await desk.start("wait", "x")
            let event = JSONValue.object(Self.event(run))
            for message in ["m1", "m1", "m2"] {
                let reply = try await caller.tell(event, id: message, type: Self.structured)
                #expect(reply.status == 200 && reply.json["run"] == .string(run), "\(reply.json.canonicalText)")
            }
            try await desk.until(run, is: "completed")
            #expect(try await desk.ask("getResult", ["run": .string(run)]).json["output"] == "done")
            #expect(try await caller.tell(event, id: "m3", type: Self.structured).status == 200)
            let other = JSONValue.object(Self.event(run, data: "else"))
            #expect(try await caller.tell(other, id: "m4", type: Self.structured).code == "message_conflict")
        }
    }

    @Test func `attributes may stand in headers, and cannot be changed under a message that was taken`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo)
            let run = try await desk.start("wait", "x", ["key": "order 7"]), other = try await desk.start("wait", "y")
            func headers(_ id: String, _ subject: String) -> [(String, String)] {
                [
                    ("ce-specversion", "1.0"), ("ce-type", "go"), ("ce-source", "/shop"), ("ce-id", id), ("ce-subject", subject),
                    ("ce-other", "%E2%82%AC"),
                ]
            }
            let reply = try await caller.tell("done", id: "m1", headers: headers("e1", "wait/order%207"))
            #expect(reply.status == 200 && reply.json["run"] == .string(run), "\(reply.json.canonicalText)")
            try await desk.until(run, is: "completed")
            // The signature is over the body alone.
            let replayed = try await caller.tell("done", id: "m1", headers: headers("e2", other))
            #expect(replayed.code == "message_conflict")
            #expect(try await desk.client.run(#require(RunID(other))).state == "waiting")
            // Without data it is null.
            #expect(try await caller.tell(.null, headers: headers("e3", other)).status == 200)
        }
    }

    @Test func `what is no event, or several, is refused`() async throws {
        try await atDesk { desk in
            let caller = try await Caller(desk, mayGo)
            let run = try await desk.start("wait", "x"), good = Self.event(run)
            func code(_ change: (inout JSONObject) -> Void) async throws -> String? {
                var event = good
                change(&event)
                return try await caller.tell(.object(event), type: Self.structured).code
            }
            #expect(try await code { $0["specversion"] = "0.3" } == "body_invalid")
            #expect(try await code { $0["id"] = nil } == "body_invalid")
            #expect(try await code { $0["source"] = "" } == "body_invalid")
            #expect(try await code { $0["subject"] = nil } == "body_invalid")
            #expect(try await code { $0["subject"] = 7 } == "body_invalid")
            #expect(try await code { $0["Type"] = "x" } == "body_invalid")
            #expect(try await code { $0["type"] = "not a name" } == "body_invalid")
            #expect(try await code { $0["data_base64"] = "AAAA" } == "body_invalid")
            #expect(try await code { $0["type"] = "stop" } == "hook_not_permitted")
            let batch = try await caller.tell([.object(good)], type: "application/cloudevents-batch+json")
            #expect(batch.status == 415 && batch.json["detail"]?.stringValue?.contains("Batches") == true)
            #expect(try await caller.tell(.object(good), type: "application/cloudevents+xml").status == 415)
            #expect(try await caller.tell(["a"], type: Self.structured).code == "body_invalid")
            #expect(try await caller.tell("x", headers: [("ce-specversion", "1.0"), ("ce-id", "%FF")]).code == "body_invalid")
        }
    }
}
