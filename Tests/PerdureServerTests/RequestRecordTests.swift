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

/// What is remembered of requests by their `Idempotency-Key`.
@Suite(.timeLimit(.minutes(5))) struct RequestRecordTests {
    @Test func `the same request is answered as it was, and another one under its key is refused`() async throws {
        try await atDesk { desk in
            let order: JSONObject = ["workflow": "wait", "input": "x"]
            let first = try await desk.ask("startRun", order, key: "k"), again = try await desk.ask("startRun", order, key: "k")
            #expect(first.status == 201 && again.status == 201 && again.json == first.json)
            #expect(again.headers.first(name: "location") == first.headers.first(name: "location"))
            #expect(again.headers.first(name: "idempotency-replayed") == "true")
            #expect(first.headers.first(name: "idempotency-replayed") == nil)
            let run = try #require(first.json["run"])
            // Of another operation, of another run, with other labels: each another request.
            #expect(try await desk.ask("cancelRun", ["run": run], key: "k").code == "idempotency_key_reused")
            #expect(
                try await desk.ask("startRun", ["workflow": "wait", "input": "x", "labels": ["a": "b"]], key: "k").status == 422)
            try await desk.until(#require(run.stringValue), is: "waiting")
            // It is the caller's own.
            #expect(try await desk.ask("cancelRun", ["run": run], key: "k", as: "bob").status == 202)
            let other = try await desk.start("wait", "y")
            #expect(try await desk.ask("cancelRun", ["run": .string(other)], key: "k", as: "bob").status == 422)
        }
    }

    @Test func `what is refused for good stays refused under its key`() async throws {
        try await atDesk { desk in
            let missing: JSONValue = "01a20800-0000-7000-8000-000000000000"
            for _ in 0..<2 {
                let reply = try await desk.ask("cancelRun", ["run": missing], key: "k")
                #expect(reply.code == "run_unknown")
            }
            let wrong: JSONObject = ["workflow": "greet", "input": 7]
            for _ in 0..<2 {
                let reply = try await desk.ask("startRun", wrong, key: "other")
                #expect(reply.code == "input_undecodable")
            }
        }
    }

    @Test func `what a run has taken is known by the run when nothing is kept of the request any more`() async throws {
        try await atDesk { desk in
            func forget() async throws {
                let far = Timestamp(Date(timeIntervalSinceNow: 30 * 86_400))
                let count = try await desk.client.store.removeControls(kind: RequestRecords.kind, dueBy: far, limit: 100)
                #expect(count > 0)
            }
            let order: JSONObject = ["workflow": "wait", "input": "x"]
            let first = try await desk.ask("startRun", order, key: "k")
            let run = try #require(first.json["run"])
            try await forget()
            let again = try await desk.ask("startRun", order, key: "k")
            #expect(again.status == 200 && again.json["run"] == run)
            try await forget()
            let other = try await desk.ask("startRun", ["workflow": "wait", "input": "y"], key: "k")
            #expect(other.status == 422 && other.code == "message_conflict")
            #expect(try await desk.ask("pauseRun", ["run": run, "reason": "look"], key: "p").status == 202)
            try await forget()
            let changed = try await desk.ask("pauseRun", ["run": run, "reason": "else"], key: "p")
            #expect(changed.status == 422 && changed.code == "message_conflict")
        }
    }

    /// A clock that is set.
    private final class Clock: Sendable {
        private let time = Mutex(Timestamp(microseconds: 1_000_000_000))
        var now: Timestamp { time.withLock { $0 } }
        func pass(_ duration: Duration) { time.withLock { $0 = $0 + duration } }
    }

    @Test func `one that is being worked on is not begun again before nobody can be working on it`() async throws {
        try await atDesk { desk in
            let clock = Clock(), operation = try #require(PerdureServer.Operation.all.first { $0.needsKey })
            let records = RequestRecords(client: desk.client) { clock.now }
            let done = Mutex(0)
            @Sendable func work() async throws -> PerdureServer.Answer {
                done.withLock { $0 += 1 }
                return PerdureServer.Answer(.ok, ["done": true])
            }
            // Its process dies while it works.
            do {
                _ = try await records.answer("k", digest: "d", of: operation) {
                    #expect(try await desk.client.store.control(ControlKey(RequestRecords.kind, "k")) != nil)
                    do {
                        _ = try await records.answer("k", digest: "d", of: operation) { try await work() }
                        Issue.record("begun twice")
                    } catch let early as Problem {
                        #expect(early.code == "request_in_progress" && early.retryAfter != nil)
                    }
                    clock.pass(RequestRecords.patience)
                    // Whoever asks then does it, and the first one, which lives after all, changes nothing of what was answered.
                    let answer = try await records.answer("k", digest: "d", of: operation) { try await work() }
                    #expect(answer.status == .ok)
                    throw CancellationError()
                }
                Issue.record("it did not die")
            } catch is CancellationError {}
            let again = try await records.answer("k", digest: "d", of: operation) { try await work() }
            guard case .json(let body) = again.content else { throw Missing(text: "a body") }
            #expect(body == ["done": true] && done.withLock { $0 } == 1)
            clock.pass(RequestRecords.keptFor)
            _ = try await records.answer("k", digest: "another", of: operation) { try await work() }
            #expect(done.withLock { $0 } == 2)
        }
    }

    @Test func `what failed for now can be asked for again at once`() async throws {
        try await atDesk { desk in
            let records = RequestRecords(client: desk.client) { Timestamp(Date()) }
            let operation = try #require(PerdureServer.Operation.all.first { $0.needsKey })
            await #expect(throws: PerdureError.self) {
                _ = try await records.answer("k", digest: "d", of: operation) { throw PerdureError(.storeUnavailable, "not now") }
            }
            let answer = try await records.answer("k", digest: "d", of: operation) { PerdureServer.Answer(.ok, ["done": true]) }
            #expect(answer.status == .ok)
        }
    }
}
