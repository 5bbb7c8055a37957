import AsyncHTTPClient
import Foundation
import NIOHTTP1
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureServer

/// Runs over HTTP: started, looked at, told things.
@Suite(.timeLimit(.minutes(5))) struct APIRunTests {
    @Test func `the same key and input is the same run, and another input a conflict`() async throws {
        try await atDesk { desk in
            let order: JSONObject = ["workflow": "greet", "input": "Ada", "key": "k", "labels": ["team": "x"]]
            let first = try await desk.ask("startRun", order)
            #expect(first.status == 201 && first.json["new"] == true)
            let run = try #require(first.json["run"]?.stringValue)
            #expect(first.headers.first(name: "location") == "/v1/namespaces/default/runs/\(run)")
            let again = try await desk.ask("startRun", order)
            #expect(again.status == 200 && again.json == ["run": .string(run), "new": false])
            let other = try await desk.ask("startRun", ["workflow": "greet", "input": "Bob", "key": "k"])
            #expect(other.status == 409 && other.code == "run_conflict" && other.json["metadata"]?["run"]?.stringValue == run)
            let result = try await desk.ask("getResult", ["run": .string(run), "wait_seconds": 60])
            #expect(result.status == 200 && result.json["output"] == "Hello Ada" && result.json["state"] == "completed")
            #expect(try await desk.ask("getRun", ["run": .string(run)]).json["key"] == "k")
            #expect(try await desk.ask("countRuns").json == ["completed": 1])
        }
    }

    @Test func `a request under the same Idempotency-Key is done once, and another one under it is refused`() async throws {
        try await atDesk { desk in
            let order: JSONObject = ["workflow": "wait", "input": "a"]
            let first = try await desk.ask("startRun", order, key: "s"), again = try await desk.ask("startRun", order, key: "s")
            #expect(first.status == 201 && again.status == 201 && first.json["run"] == again.json["run"])
            let other = try await desk.ask("startRun", ["workflow": "wait", "input": "b"], key: "s")
            #expect(other.status == 422 && other.code == "idempotency_key_reused")
            // The key of somebody else is another one.
            #expect(try await desk.ask("startRun", order, key: "s", as: "bob").status == 201)
            #expect(try await desk.ask("listRuns").json["runs"]?.arrayValue?.count == 2)
            let run = try #require(first.json["run"])
            #expect(try await desk.ask("pauseRun", ["run": run, "reason": "look"], key: "p").status == 202)
            #expect(try await desk.ask("pauseRun", ["run": run, "reason": "look"], key: "p").status == 202)
            let changed = try await desk.ask("pauseRun", ["run": run, "reason": "else"], key: "p")
            #expect(changed.status == 422 && changed.code == "idempotency_key_reused")
        }
    }

    @Test func `an input that the workflow cannot read is refused with the place, and nothing is started`() async throws {
        try await atDesk { desk in
            let reply = try await desk.ask("startRun", ["workflow": "errand", "input": ["item": 7]])
            #expect(reply.status == 400 && reply.code == "input_undecodable")
            #expect(reply.json["detail"]?.stringValue?.contains("item") == true)
            let unknown = try await desk.ask("startRun", ["workflow": "selling"])
            #expect(unknown.status == 404 && unknown.code == "workflow_unknown")
            let queue = try await desk.ask("startRun", ["workflow": "greet", "input": "x", "queue": ["name": "q"]])
            #expect(queue.status == 404 && queue.code == "queue_unknown")
            #expect(try await desk.ask("listRuns").json == ["runs": []])
        }
    }

    @Test func `a run that has not ended is waited for as long as was asked`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("wait", "x")
            let early = try await desk.ask("getResult", ["run": .string(run), "wait_seconds": 1])
            #expect(early.status == 202 && early.json["output"] == nil)
            async let late = desk.ask("getResult", ["run": .string(run), "wait_seconds": 60])
            let sent = try await desk.ask("signalRun", ["run": .string(run), "name": "go", "payload": "on"], key: "s")
            #expect(sent.status == 202)
            #expect(try await late.json["output"] == "on")
            // The same signal again, after the run has closed by it.
            #expect(
                try await desk.ask("signalRun", ["run": .string(run), "name": "go", "payload": "on"], key: "s").status == 202)
            let closed = try await desk.ask("signalRun", ["run": .string(run), "name": "go", "payload": "on"], key: "t")
            #expect(closed.status == 409 && closed.code == "run_closed")
        }
    }

    @Test func `pages of a list hold together while others write, and a cursor is for one list`() async throws {
        try await atDesk { desk in
            var runs: [String] = []
            for number in 0..<5 { runs.append(try await desk.start("wait", "x", ["labels": ["n": .string("\(number % 2)")]])) }
            var found: [String] = [], cursor: JSONValue?
            repeat {
                var query: JSONObject = ["limit": 2, "workflow": "wait"]
                query["cursor"] = cursor
                let page = try await desk.ask("listRuns", query)
                found += page.json["runs"]?.arrayValue?.compactMap { $0["run"]?.stringValue } ?? []
                cursor = page.json["next"]
                _ = try await desk.start("wait", "later")
            } while cursor != nil
            #expect(found == runs.reversed())
            let first = try await desk.ask("listRuns", ["limit": 2, "workflow": "wait"])
            let elsewhere = try await desk.ask("listRuns", ["limit": 2, "cursor": try #require(first.json["next"])])
            #expect(elsewhere.status == 400 && elsewhere.code == "cursor_invalid")
            let labelled = try await desk.ask("listRuns", ["label": "n=1"])
            #expect(labelled.json["runs"]?.arrayValue?.count == 2)
            let twice = try await desk.ask("listRuns", ["label": ["n=1", "n=0"]])
            #expect(twice.status == 400 && twice.json["errors"]?.arrayValue?.first?["pointer"] == "label")
            let mixed = try await desk.ask("listRuns", ["workflow": "wait", "key": "k", "state": "failed"])
            #expect(mixed.status == 400 && mixed.json["errors"]?.arrayValue?.first?["pointer"] == "state")
            let keyed = try await desk.ask("listRuns", ["key": "k"])
            #expect(keyed.status == 400 && keyed.json["errors"]?.arrayValue?.first?["pointer"] == "workflow")
        }
    }

    @Test func `a question is answered and an action approved as it was shown, by somebody else`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("errand", ["item": "hat", "fails": false], as: "ada")
            try await desk.until(run, is: "waiting")
            let question = try #require(try await desk.ask("listQuestions").json["questions"]?.arrayValue?.first)
            #expect(question["text"] == "Which size?" && question["run"]?.stringValue == run)
            let answer: JSONObject = ["run": .string(run), "question": "size", "answer": "L"]
            for _ in 0..<2 { #expect(try await desk.ask("answerQuestion", answer, key: "a", as: "bob").status == 202) }
            let id = try #require(RunID(run))
            try await desk.client.wait { try await $0.pendingApprovals(of: id).count == 1 }
            let approval = try #require(try await desk.ask("listApprovals").json["approvals"]?.arrayValue?.first)
            #expect(approval["view"]?["input"] == "hat")
            var decision: JSONObject = ["run": .string(run), "step": "buy", "approve": true, "digest": "stale"]
            let stale = try await desk.ask("decideApproval", decision, as: "bob")
            #expect(stale.status == 409 && stale.code == "approval_mismatch")
            decision["digest"] = approval["digest"]
            let own = try await desk.ask("decideApproval", decision, as: "ada")
            #expect(own.status == 403 && own.code == "approval_not_permitted")
            for _ in 0..<2 { #expect(try await desk.ask("decideApproval", decision, key: "d", as: "bob").status == 202) }
            let result = try await desk.ask("getResult", ["run": .string(run), "wait_seconds": 60])
            #expect(result.json["output"] == "L hat")
            let events = try await desk.ask("getHistory", ["run": .string(run), "limit": 500]).json["events"]?.arrayValue ?? []
            let decided = events.first { $0["kind"] == "approval.decided" }
            #expect(decided?["attributes"]?["by"]?["id"] == "bob")
            #expect(decided?["attributes"]?["by"]?["authentication"] == "loopback, by its own word")
            #expect(try await desk.ask("listApprovals").json["approvals"] == [])
        }
    }

    @Test func `a dead letter is shown, explained and resolved`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("errand", ["item": "hat", "fails": true])
            try await desk.until(run, is: "parked")
            let steps = try await desk.ask("listStuckSteps", ["run": .string(run)]).json["steps"]?.arrayValue
            #expect(steps?.count == 1 && steps?.first?["reason"] == "dead_letter" && steps?.first?["step"] == "look")
            let explanation = try await desk.ask("explainRun", ["run": .string(run)])
            #expect(explanation.json["sentences"]?.arrayValue?.isEmpty == false)
            let wrong = try await desk.ask(
                "resolveStep", ["run": .string(run), "step": "look", "resolution": "abort", "result": "x"])
            #expect(wrong.status == 400 && wrong.json["errors"]?.arrayValue?.first?["pointer"] == "/result")
            let resolved = try await desk.ask(
                "resolveStep",
                ["run": .string(run), "step": "look", "resolution": "happened", "result": "found", "reason": "seen"])
            #expect(resolved.status == 202)
            let result = try await desk.ask("getResult", ["run": .string(run), "wait_seconds": 60])
            #expect(result.json["output"] == "found")
            let verification = try await desk.ask("verifyRun", ["run": .string(run)])
            #expect(verification.json["sound"] == true)
        }
    }

    @Test func `interventions are taken in, with who asked`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("wait", "x")
            #expect(try await desk.ask("pauseRun", ["run": .string(run), "reason": "look"], as: "bob").status == 202)
            try await desk.until(run, is: "paused")
            #expect(try await desk.ask("resumeRun", ["run": .string(run)]).status == 202)
            try await desk.until(run, is: "waiting")
            #expect(try await desk.ask("repinRun", ["run": .string(run), "version": "9"]).status == 202)
            try await desk.until(run, is: "ready")
            let versions = try await desk.ask("listVersions").json["versions"]?.arrayValue ?? []
            #expect(versions.contains { $0["version"] == "9" && $0["stranded"] == true })
            #expect(try await desk.ask("cancelRun", ["run": .string(run)]).status == 202)
            #expect(try await desk.ask("terminateRun", ["run": .string(run), "reason": "enough"]).status == 202)
            let result = try await desk.ask("getResult", ["run": .string(run), "wait_seconds": 60])
            #expect(result.json["state"] == "terminated")
            let retry = try await desk.ask("retryRun", ["run": .string(run)])
            #expect(retry.status == 409 && retry.code == "run_closed")
        }
    }

    @Test func `an update is replied to once, also after its run was continued, and is durable before it is waited for`()
        async throws
    {
        try await atDesk { desk in
            let run = try await desk.start("counter", 0)
            let add: JSONObject = ["run": .string(run), "name": "add", "payload": 3, "wait_seconds": 60]
            for _ in 0..<3 {
                let reply = try await desk.ask("updateRun", add, key: "u")
                #expect(reply.status == 200 && reply.json == ["reply": 3])
            }
            var other = add
            other["payload"] = 4
            let conflict = try await desk.ask("updateRun", other, key: "u")
            #expect(conflict.status == 422 && conflict.code == "message_conflict")
            // Each new one is answered by the run that goes on.
            #expect(try await desk.ask("updateRun", add, key: "v").json == ["reply": 6])
            let unknown = try await desk.ask("updateRun", ["run": "00000000-0000-0000-0000-000000000000", "name": "add"])
            #expect(unknown.status == 404)
            // Nobody answers this one in time, and it is there all the same.
            let waiting = try await desk.start("wait", "x")
            let late = try await desk.ask("updateRun", ["run": .string(waiting), "name": "add", "wait_seconds": 1])
            #expect(late.status == 202 && late.json["accepted"] == true)
            let id = try #require(RunID(waiting))
            let unread = try await desk.client.store.inbox(run: try await desk.client.record(id).number)
            let taken = try await desk.client.history(of: id).filter { $0.kind == .updateReceived }
            #expect(unread.map(\.delivery.kind) == [.update] || taken.count == 1)
        }
    }

    @Test func `what nobody starts or changes over HTTP is listed all the same`() async throws {
        try await atDesk { desk in
            try await desk.client.schedule("s1", eachSecond(), by: ada)
            try await desk.client.pauseSchedule("s1", note: "quiet", by: ada)
            try await desk.client.schedule("s2", eachSecond(), by: ada)
            try await desk.client.setQueue("q", limits: QueueLimits(concurrency: 2), by: ada)
            #expect(try await desk.ask("getSchedule", ["schedule": "s1"]).json["note"] == "quiet")
            #expect(try await desk.ask("getSchedule", ["schedule": "none"]).code == "schedule_unknown")
            let first = try await desk.ask("listSchedules", ["limit": 1])
            #expect(first.json["schedules"]?.arrayValue?.map { $0["id"] } == ["s1"] && first.json["next"] == "s1")
            let second = try await desk.ask("listSchedules", ["limit": 1, "after": "s1"])
            #expect(second.json["schedules"]?.arrayValue?.map { $0["id"] } == ["s2"])
            let queued = try await desk.start("greet", "Ada", ["queue": ["name": "q"]])
            try await desk.until(queued, is: "completed")
            #expect(try await desk.ask("listQueues").json["queues"]?.arrayValue?.first?["queue"] == "q")
            #expect(try await desk.ask("listNodes").json["nodes"]?.arrayValue?.count == 1)
            #expect(try await desk.ask("listAttempts", ["workflow": "greet"]).json["attempts"]?.arrayValue?.first?["unread"] == 0)
        }
    }

    @Test func `what is another namespace's is not there`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("wait", "x")
            for operation in PerdureServer.Operation.all where operation.path.contains("{run}") {
                var members: JSONObject = ["namespace": "other", "run": .string(run)]
                for (name, value) in [
                    "name": "go", "question": "q", "answer": "a", "step": "s", "approve": true, "digest": "d", "version": "2",
                    "resolution": "abort", "event": 1,
                ] as [String: JSONValue] where operation.requires(name) { members[name] = value }
                let reply = try await desk.ask(operation.id, members)
                #expect(reply.status == 404 && reply.code == "run_unknown", "\(operation.id): \(reply.json.canonicalText)")
            }
            #expect(try await desk.ask("listRuns", ["namespace": "other"]).json == ["runs": []])
            #expect(try await desk.ask("countRuns", ["namespace": "other"]).json == [:])
        }
    }
}

extension PerdureServer.Operation {
    /// Whether its body has to have this member.
    fileprivate func requires(_ name: String) -> Bool {
        guard case .object(let members) = body else { return false }
        return members.contains { $0.name == name && $0.isRequired }
    }
}
