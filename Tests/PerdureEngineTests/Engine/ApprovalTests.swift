import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct ApprovalTests {
    private func flow(_ effects: Effects) -> Flow {
        Flow { input, context in
            do {
                try await context.act(
                    "switch", input: input, .atMostOnce(inDoubt: .askPerson), policy: .plain(),
                    approval: .required(by: .role("secops"), within: .seconds(3_600)), irreversible: "the old key stops working"
                ) { _, _ in effects.add("switch") }
                return "done"
            } catch let failure as StepFailure {
                return "\(failure.code) \(failure.isDefinite)"
            }
        }
    }

    private func pending(_ harness: EngineHarness, _ run: RunID) async throws -> PendingApproval {
        try await harness.until(run, has: "approval.requested switch")
        return try #require(try await harness.observer().pendingApprovals(of: run).first)
    }

    // Promise: 21, 23
    @Test func anApprovalRecordsWhoDecidedWhenWhyAndOnWhat() async throws {
        try await withEngines { harness in
            try await harness.open { flow(harness.effects) }
            let run = try await harness.start("key-7")
            let approval = try await pending(harness, run.id)
            let view = String(decoding: approval.view, as: UTF8.self)
            #expect(
                view.contains(#""input":"key-7""#) && view.contains("the old key stops working")
                    && view.contains(#""step":"switch""#))
            #expect(harness.effects.all.isEmpty)
            #expect(try await harness.engine.client.pendingApprovals() == [approval])
            #expect(try await harness.engine.client.pendingApprovals(namespace: "other").isEmpty)
            try await harness.engine.client.decide(approval, approve: true, reason: "ticket 12", by: EngineHarness.bob)
            #expect(try await run.result() == "done")
            let decided = try await harness.attributes(.approvalDecided, of: run.id)
            #expect(decided["by"]?.objectValue?["id"]?.stringValue == "bob")
            #expect(decided["reason"]?.stringValue == "ticket 12")
            #expect(decided["view_digest"]?.stringValue == approval.digest)
            #expect(harness.effects.all == ["switch"])
            let lines = try await harness.lines(run.id)
            let consumed = try #require(lines.firstIndex(of: "approval.consumed switch"))
            #expect(lines[consumed + 1] == "step.intended switch")
            #expect(try await harness.history(run.id)[consumed].at == harness.history(run.id)[consumed + 1].at)
        }
    }

    // Promise: 23
    @Test func whoStartedARunCannotApproveItsActions() async throws {
        try await withEngines { harness in
            try await harness.open { flow(harness.effects) }
            let run = try await harness.start()
            let approval = try await pending(harness, run.id)
            let error = await #expect(throws: PerdureError.self) {
                try await harness.engine.client.decide(approval, approve: true, by: EngineHarness.ada)
            }
            #expect(error?.code == .approvalNotPermitted)
            // Also where somebody goes round the check at the edge.
            let decision = Delivery(
                to: run.id, id: "forged", kind: .decision, name: "switch",
                payload: Array(#"{"isApproved":true,"viewDigest":"\#(approval.digest)"}"#.utf8), sender: EngineHarness.ada)
            _ = try await harness.observer().store.commit([.deliver(decision)])
            try await harness.until(run.id, has: "operator.action switch")
            #expect(try await harness.attributes(.operatorAction, of: run.id)["refused"]?.stringValue == "approval_not_permitted")
            #expect(harness.effects.all.isEmpty)
            try await harness.engine.client.decide(approval, approve: false, by: EngineHarness.ada)
            #expect(try await run.result() == "approval_denied true")
        }
    }

    // Promise: 23
    @Test func aDecisionOnAnotherViewIsRefused() async throws {
        try await withEngines { harness in
            try await harness.open { flow(harness.effects) }
            let run = try await harness.start()
            _ = try await pending(harness, run.id)
            let decision = Delivery(
                to: run.id, id: "other", kind: .decision, name: "switch",
                payload: Array(#"{"isApproved":true,"viewDigest":"00"}"#.utf8), sender: EngineHarness.bob)
            _ = try await harness.observer().store.commit([.deliver(decision)])
            try await harness.until(run.id, has: "operator.action switch")
            #expect(try await harness.attributes(.operatorAction, of: run.id)["refused"]?.stringValue == "approval_mismatch")
            #expect(harness.effects.all.isEmpty)
        }
    }

    // Promise: 23
    @Test func nobodyDecidingIsADenial() async throws {
        try await withEngines { harness in
            try await harness.open { flow(harness.effects) }
            let run = try await harness.start()
            let approval = try await pending(harness, run.id)
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(3_601))
            #expect(try await run.result() == "expired true")
            #expect(harness.effects.all.isEmpty)
            let error = await #expect(throws: PerdureError.self) {
                try await harness.engine.client.decide(approval, approve: true, by: EngineHarness.bob)
            }
            #expect(error?.code == .approvalClosed)
        }
    }

    @Test func aDecisionMadeWhileTheEngineWasDownBeatsALaterExpiry() async throws {
        try await withEngines { harness in
            try await harness.open { flow(harness.effects) }
            let run = try await harness.start()
            let approval = try await pending(harness, run.id)
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            harness.clock.advance(by: .seconds(1_800))
            try await harness.observer().decide(approval, approve: true, by: EngineHarness.bob)
            harness.clock.advance(by: .seconds(3_600))
            try await harness.open { flow(harness.effects) }
            #expect(try await harness.result(run.id) == "done")
        }
    }

    // Promise: 22
    @Test func anApprovalIsNotAskedForAgainAfterACrashAndKeepsItsExpiry() async throws {
        try await withEngines { harness in
            try await harness.open { flow(harness.effects) }
            let run = try await harness.start()
            let before = try await pending(harness, run.id)
            harness.clock.advance(by: .seconds(600))
            try await harness.crash()
            try await harness.open { flow(harness.effects) }
            try await harness.until(run.id, is: .waiting)
            let after = try await pending(harness, run.id)
            #expect(after == before)
            #expect(try await harness.count("approval.requested switch", in: run.id) == 1)
            try await harness.engine.client.decide(after, approve: true, by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "done")
        }
    }

    // Promise: 23
    @Test func laterAttemptsUseTheConsumedApproval() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    try await context.act(
                        "switch", input: input, .idempotent(retention: .forever), policy: .plain(),
                        approval: .required(by: .anyone, within: .seconds(3_600)), irreversible: "x"
                    ) { _, step in
                        effects.add("switch", key: step.idempotencyKey)
                        if step.attempt < 3 { throw Hiccup() }
                    }
                    return "done"
                }
            }
            let run = try await harness.start()
            let approval = try await pending(harness, run.id)
            try await harness.engine.client.decide(approval, approve: true, by: EngineHarness.bob)
            try await harness.until(run.id, has: "step.attempt_failed switch")
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(1))
            try await harness.until(run.id, has: "step.attempt_failed switch", times: 2)
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(2))
            #expect(try await run.result() == "done")
            #expect(try await harness.count("approval.consumed switch", in: run.id) == 1)
            #expect(effects.distinct("switch") == 1)
        }
    }

    // Promise: 23
    @Test func `a decision that was accepted before the expiry counts, also if the run in memory has not heard of it`()
        async throws
    {
        try await withEngines { harness in
            let gate = harness.gate(), unread = harness.gate(), approved = flow(harness.effects)
            try await harness.open {
                Flow { input, context in
                    async let busy = context.read("busy", input: input) { text, _ in
                        await gate.hang()
                        return text
                    }
                    let result = try await approved.body(input, context)
                    return try await "\(busy) \(result)"
                }
            }
            let run = try await harness.start()
            let approval = try await pending(harness, run.id)
            try await harness.until { gate.arrivals == 1 }
            // The engine does not get to look for messages.
            harness.script.set { call in
                if case .ownedInbox = call { await unread.hang() }
                return .apply
            }
            harness.clock.advance(by: .seconds(3_599))
            try await harness.observer().decide(approval, approve: true, by: EngineHarness.bob)
            harness.clock.advance(by: .seconds(2))
            try await harness.until(run.id, has: "approval.decided switch")
            unread.open()
            gate.open()
            #expect(try await run.result() == "x done")
            #expect(try await harness.count("approval.expired switch", in: run.id) == 0)
        }
    }
}
