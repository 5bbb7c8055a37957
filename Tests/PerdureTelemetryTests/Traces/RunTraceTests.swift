import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureTelemetry

@Suite struct RunTraceTests {
    // MARK: The run

    @Test func `the trace of a run has the bytes of its id, and its root span is the whole run`() throws {
        var history = HistoryScript()
        history.add(.runCompleted, "", [:], after: .hours(3))
        let root = try #require(history.spans.root)
        #expect(root.traceID.description == history.record.id.description.filter { $0 != "-" })
        #expect(root.id == SpanID.root(of: history.record.id) && root.name == "run ship")
        #expect((root.start, root.end) == (history.time(1), history.time(2)))
        #expect(root.outcome == "completed" && root.error == nil)
        #expect(root["perdure.workflow"] == .string("ship") && root["perdure.started_by"] == .string("human"))
    }

    @Test func `a run that fails has an error with its code and type, and not what the error says`() throws {
        var history = HistoryScript()
        history.add(.runFailed, "", ["code": "step_failed", "type": "CardError", "message": "card 4111 is blocked"])
        let root = try #require(history.spans.root)
        #expect(root.error == "failed" && root["perdure.error_code"] == .string("step_failed"))
        #expect(root["error.type"] == .string("CardError"))
        #expect(!String(decoding: root.bytes, as: UTF8.self).contains("4111"))
    }

    @Test func `what an operator does is an event of the root, and tells neither who nor why`() throws {
        var history = HistoryScript()
        history.add(.runPaused, "", ["by": ["kind": "human", "id": "bob"], "reason": "private"])
        history.add(.runUnpaused, "", ["by": ["kind": "human", "id": "bob"]])
        history.add(.runCompleted)
        let root = try #require(history.spans.root)
        #expect(root.events.map(\.name) == ["run.paused", "run.unpaused"])
        #expect(root.events[0].at == history.time(2))
        let text = String(decoding: root.bytes, as: UTF8.self)
        #expect(!text.contains("private") && !text.contains("bob"))
    }

    @Test func `what is done about a run that has ended is a span of its own`() throws {
        var history = HistoryScript()
        history.step(.stepInDoubt, "pay", ["reason": "terminated"])
        history.add(.runTerminated)
        history.add(.stepResolved, "pay", ["resolution": "happened"])
        let late = try #require(history.spans.named("step.resolved").first)
        #expect(late.parent == SpanID.root(of: history.record.id) && late.start == history.time(4))
        #expect(late.events.first?.attributes.contains(TelemetryAttribute("perdure.resolution", "happened")) == true)
    }

    @Test func `what is open ends with the run`() {
        var history = HistoryScript()
        history.add(.timerStarted, "nap", ["due": 1])
        history.step(.stepIntended, "pay")
        history.add(.approvalRequested, "ship", ["expires_at": 5])
        var trace = RunTrace(history.record)
        #expect(trace.add(history.events).isEmpty)
        #expect(trace.steps.count == 2 && trace.waits.count == 1)
        history.add(.runTerminated)
        let spans = trace.add(history.events[4...])
        #expect(
            Set(spans.map(\.name)) == ["timer nap", "attempt pay", "step pay", "approval ship", "step ship", "run ship"])
        #expect(spans.filter { $0.parent != nil }.allSatisfy { $0.outcome == "unfinished" && $0.end == history.time(5) })
        #expect(trace.hasEnded && trace.steps.isEmpty && trace.waits.isEmpty)
    }

    @Test func `an event that was taken in already changes nothing`() {
        var history = HistoryScript()
        history.step(.stepSucceeded, "a")
        history.add(.runCompleted)
        var trace = RunTrace(history.record)
        #expect(trace.add(history.events).count == 3)
        #expect(trace.add(history.events).isEmpty)
    }

    // MARK: Steps

    @Test func `a plain step begins at the latest with the event before it, and says that this is an estimate`() throws {
        var history = HistoryScript()
        history.step(.stepSucceeded, "a")
        history.add(.stepSucceeded, "b/c[7]#2", ["attempt": 1, "effect": "read"], after: .seconds(5))
        history.add(.runCompleted)
        let step = try #require(history.spans.named("step c").first),
            attempt = try #require(history.spans.named("attempt c").first)
        #expect((step.start, step.end) == (history.time(2), history.time(3)))
        #expect(attempt.parent == step.id && (attempt.start, attempt.end) == (step.start, step.end))
        for span in [step, attempt] {
            #expect(span["perdure.start_estimated"] == .bool(true) && span.subject == "b/c[7]#2")
        }
        #expect(step["perdure.effect"] == .string("read") && step["perdure.attempts"] == .int(1))
    }

    @Test func `outcomes of one commit did not begin with one another`() {
        var history = HistoryScript()
        history.step(.stepSucceeded, "a")
        history.add(.stepSucceeded, "b", ["attempt": 1], after: .zero)
        #expect(history.spans.filter { $0.name.hasPrefix("step") }.map(\.start) == [history.time(1), history.time(1)])
    }

    @Test func `each attempt has its span, which begins with its intent, or at the earliest when its time has come`() throws {
        var history = HistoryScript()
        history.step(.stepIntended, "pay")
        let next = history.now + .seconds(31)
        history.step(.stepAttemptFailed, "pay", ["definite": false, "type": "Timeout", "next_at": .integer(next.microseconds)])
        history.add(.stepSucceeded, "pay", ["attempt": 2], after: .minutes(1))
        let attempts = history.spans.named("attempt pay")
        #expect(attempts.map(\.attempt) == [1, 2] && attempts.map(\.outcome) == ["failed", "succeeded"])
        #expect(attempts.map(\.start) == [history.time(2), next] && attempts.map(\.end) == [history.time(3), history.time(4)])
        #expect(attempts.map(\.error) == ["failed", nil] && attempts[0]["error.type"] == .string("Timeout"))
        #expect(attempts[0].id != attempts[1].id)
        #expect(attempts.map { $0["perdure.start_estimated"] } == [nil, .bool(true)])
        let step = try #require(history.spans.named("step pay").first)
        #expect(step["perdure.attempts"] == .int(2) && step.error == nil)
    }

    @Test func `an intent that was not acted upon has no attempt of its own`() {
        var history = HistoryScript()
        history.step(.stepIntended, "pay")
        history.step(.stepIntended, "pay", ["replaces_unsent": true])
        history.step(.stepSucceeded, "pay")
        let attempts = history.spans.named("attempt pay")
        #expect(attempts.count == 1 && attempts.first?.start == history.time(3))
    }

    @Test func `an attempt that is made again after a doubt is another span under the same number`() throws {
        var history = HistoryScript()
        history.step(.stepIntended, "pay")
        history.step(.stepInDoubt, "pay", ["reason": "interrupted"])
        history.add(.stepResolved, "pay", ["resolution": "did_not_happen", "by": ["kind": "human", "id": "bob"]])
        history.step(.stepIntended, "pay")
        history.step(.stepSucceeded, "pay")
        let attempts = history.spans.named("attempt pay")
        #expect(attempts.map(\.attempt) == [1, 1] && attempts.map(\.outcome) == ["in_doubt", "succeeded"])
        #expect(Set(attempts.map(\.id)).count == 2)
        let step = try #require(history.spans.named("step pay").first)
        #expect(step.events.map(\.name) == ["step.in_doubt", "step.resolved"] && step.outcome == "succeeded")
    }

    @Test func `a step that another run has done has a link to it and no attempt`() throws {
        var history = HistoryScript()
        history.add(.stepSucceeded, "pay", ["adopted_from": .string(HistoryScript.child.description)])
        #expect(history.spans.map(\.name) == ["step pay"])
        let link = try #require(history.spans[0].links.first)
        #expect(link.spanID == .root(of: HistoryScript.child) && link.relation == "adopted_from")
    }

    @Test func `a step that is cancelled before it was sent has no attempt`() {
        var history = HistoryScript()
        history.step(.stepIntended, "pay")
        history.add(.stepCancelled, "pay", ["effect": "at_most_once"])
        #expect(history.spans.map(\.name) == ["step pay"] && history.spans[0].outcome == "cancelled")
    }

    @Test func `an undo is a span beside its step, and one that fails is open until it succeeds`() {
        var history = HistoryScript()
        history.step(.stepSucceeded, "pay")
        history.step(.undoStarted, "pay")
        history.step(.undoFailed, "pay", ["code": "x", "type": "Refused"])
        #expect(history.spans.map(\.name) == ["attempt pay", "step pay", "attempt pay"])
        history.add(.operatorAction, "pay", ["action": "retry"])
        history.step(.undoSucceeded, "pay", attempt: 2)
        let undo = history.spans.named("undo pay")
        #expect(undo.count == 1 && undo.first?.events.map(\.name) == ["operator.action"])
        #expect(history.spans.last?.id == undo.first?.id && Set(history.spans.map(\.id)).count == history.spans.count)
    }

    // MARK: People

    @Test func `an approval is a span inside of its step`() throws {
        var history = HistoryScript()
        history.add(.approvalRequested, "pay", ["expires_at": 9, "approver": "role:finance"])
        history.add(.approvalDecided, "pay", ["approved": true, "reason": "private"])
        history.add(.approvalConsumed, "pay")
        history.step(.stepIntended, "pay")
        history.step(.stepSucceeded, "pay")
        let approval = try #require(history.spans.named("approval pay").first)
        let step = try #require(history.spans.named("step pay").first)
        #expect(approval.parent == step.id && approval.outcome == "approved" && step.start == approval.start)
        #expect((approval.start, approval.end) == (history.time(2), history.time(3)))
    }

    @Test func `a denied action is a failed step`() throws {
        var history = HistoryScript()
        history.add(.approvalRequested, "pay", ["expires_at": 9])
        history.add(.approvalDecided, "pay", ["approved": false])
        #expect(history.spans.map(\.outcome) == ["denied", "approval_denied"] && history.spans[1].error != nil)
    }

    @Test func `questions and timers end as they ended`() {
        var history = HistoryScript()
        history.add(.questionAsked, "colour", ["approver": "anyone"])
        history.add(.timerStarted, "nap", ["due": 1])
        history.add(.timerCancelled, "nap")
        history.add(.questionAnswered, "colour", ["by": ["kind": "human", "id": "bob"]])
        #expect(history.spans.map(\.name) == ["timer nap", "question colour"])
        #expect(history.spans.map(\.outcome) == ["cancelled", "answered"])
        #expect(history.spans[1].start == history.time(2) && history.spans[1].end == history.time(5))
    }

    @Test func `a message is a span from when it was accepted to when the run heard of it`() {
        var history = HistoryScript()
        let accepted = history.now + .seconds(2)
        history.add(.signalReceived, "go", ["accepted_at": .integer(accepted.microseconds)], after: .seconds(9))
        history.add(.signalReceived, "go", ["accepted_at": 5])
        #expect(history.spans.map(\.name) == ["signal go", "signal go"])
        #expect(history.spans.map(\.start) == [accepted, history.time(1)])
        #expect(history.spans.map(\.end) == [history.time(2), history.time(3)])
    }

    // MARK: Other runs

    @Test func `parent and child point to each other`() throws {
        var parent = HistoryScript()
        let child = HistoryScript.child
        parent.add(.childStarted, "part", ["run": .string(child.description), "workflow": "part", "version": "1"])
        parent.add(.childFailed, "part", ["run": .string(child.description), "code": "step_failed", "type": "X"])
        let span = try #require(parent.spans.named("child part").first)
        #expect(span.error == "failed" && span.links.map(\.spanID) == [.root(of: child)])
        #expect(span.links.map(\.traceID) == [TraceID(child)])

        let origin: JSONValue = ["run": .string(parent.record.id.description), "subject": "part"]
        var record = parent.record
        record.id = child
        var trace = RunTrace(record)
        var events = HistoryScript(start: ["parent": origin])
        events.add(.runCompleted)
        let root = try #require(trace.add(events.events).root)
        #expect(root.links.map(\.spanID) == [span.id] && root.links.map(\.traceID) == [span.traceID])
    }

    @Test func `what a child goes on as points to the span of the child that it began as`() {
        let parent = HistoryScript(1).record.id, first = JSONValue.string(HistoryScript.child.description)
        var second = HistoryScript(
            2,
            start: [
                "parent": ["run": .string(parent.description), "subject": "part"], "continues": ["run": first, "first": first],
            ])
        second.add(.runCompleted)
        #expect(second.spans.root?.links.first?.spanID == .child(HistoryScript.child, of: parent))
        #expect(second.spans.root?.links.map(\.relation) == ["parent", "continues"])
    }

    @Test func `a run that goes on and the one that it goes on as point to each other`() throws {
        let next = HistoryScript(2), id = JSONValue.string(next.record.id.description)
        var first = HistoryScript(1)
        first.add(.runContinued, "", ["run": id])
        var second = HistoryScript(
            2, start: ["continues": ["run": .string(first.record.id.description), "first": .string(first.record.id.description)]])
        second.add(.runCompleted)
        #expect(first.spans.root?.links == [.root(of: next.record.id, "continued_as")])
        #expect(second.spans.root?.links == [.root(of: first.record.id, "continues")])
    }

    @Test func `a fork has a link to its source, and nothing of what it has copied`() throws {
        var fork = HistoryScript(
            2,
            start: ["fork": ["run": .string(HistoryScript.child.description), "seq": 4, "hash": "00", "copied": 2]])
        fork.step(.stepSucceeded, "copied")
        fork.add(.runForked, "", ["seq": 4], after: .hours(1))
        fork.step(.stepSucceeded, "own")
        fork.add(.runCompleted)
        #expect(fork.spans.map(\.name) == ["attempt own", "step own", "run ship"])
        let root = try #require(fork.spans.root)
        #expect(root.start == fork.time(3) && root.links == [.root(of: HistoryScript.child, "forked_from")])
    }

    @Test func `a step that is done once more after a reset has spans of its own`() {
        var history = HistoryScript()
        history.step(.stepSucceeded, "pay")
        history.add(.operatorAction, "", ["action": "reset", "to": 1])
        history.add(.runReset, "", ["to": 1, "completed": "keep"])
        history.step(.stepSucceeded, "pay", ["generation": 1])
        #expect(history.spans.map(\.name) == ["attempt pay", "step pay", "attempt pay", "step pay"])
        #expect(Set(history.spans.map(\.id)).count == 4)
    }

    @Test func `a step without an end is passed over by a reset, and begins anew`() {
        var history = HistoryScript()
        history.step(.stepIntended, "pay")
        history.step(.stepInDoubt, "pay", ["attempt_failed": true, "reason": "no_answer"])
        history.add(.stepResolved, "pay", ["resolution": "did_not_happen"])
        history.add(.runReset, "", ["to": 2, "completed": "keep"])
        history.step(.stepIntended, "pay", ["generation": 1])
        history.step(.stepSucceeded, "pay")
        #expect(history.spans.map(\.outcome) == ["in_doubt", "passed_over", "succeeded", "succeeded"])
        #expect(Set(history.spans.map(\.id)).count == 4)
    }

    @Test func `attempts that are made again after a doubt or a reset are told apart`() {
        var history = HistoryScript()
        history.step(.stepAttemptFailed, "pay", ["next_at": 1])
        history.step(.stepIntended, "pay", attempt: 2)
        history.step(.stepInDoubt, "pay", attempt: 2, ["reason": "interrupted"])
        history.add(.stepResolved, "pay", ["resolution": "did_not_happen"])
        history.step(.stepIntended, "pay", attempt: 2)
        history.step(.stepSucceeded, "pay", attempt: 2)
        history.add(.runReset, "", ["to": 1])
        history.step(.stepSucceeded, "pay")
        let attempts = history.spans.named("attempt pay")
        #expect(attempts.map(\.attempt) == [1, 2, 2, 1] && Set(attempts.map(\.id)).count == 4)
    }

    // MARK: History that goes back

    @Test func `where history went back, what stands under the numbers of lost events has spans of its own`() {
        var lost = HistoryScript()
        lost.step(.stepSucceeded, "kept")
        var found = lost
        for history in [0, 1] {
            func go(_ script: inout HistoryScript) {
                if history == 1 { script.add(.runRestored, "", ["lost_since": 1]) } else { script.add(.runPaused) }
                script.step(.stepIntended, "pay")
                script.step(.stepSucceeded, "pay")
                script.add(.timerStarted, "nap", ["due": 1])
                script.add(.timerFired, "nap")
                script.add(.runCompleted)
            }
            if history == 0 { go(&lost) } else { go(&found) }
        }
        let before = Set(lost.spans.map(\.id)), after = Set(found.spans.map(\.id))
        // What happened before, and the run itself, which is one.
        #expect(before.intersection(after).count == 3)
        #expect(before.count == 6 && after.count == 6)
    }

    @Test func `a restoration ends approvals, which are asked for anew`() {
        var history = HistoryScript()
        history.add(.approvalRequested, "pay", ["expires_at": 9])
        history.add(.runRestored, "", ["lost_since": 1])
        #expect(history.spans.map(\.name) == ["approval pay"] && history.spans[0].outcome == "voided")
        history.add(.approvalRequested, "pay", ["expires_at": 99])
        history.add(.approvalDecided, "pay", ["approved": true])
        #expect(history.spans.map(\.outcome) == ["voided", "approved"])
    }

    @Test func `an approval that nobody decided ends with its step`() {
        var history = HistoryScript()
        history.add(.approvalRequested, "pay", ["expires_at": 9])
        history.add(.stepCancelled, "pay", ["effect": "at_most_once", "terminated": true])
        history.add(.runTerminated)
        #expect(history.spans.map(\.name) == ["approval pay", "step pay", "run ship"])
        #expect(history.spans.map(\.outcome) == ["unfinished", "cancelled", "terminated"])
    }

    @Test(arguments: ["terminated", "lost", "retention_passed"])
    func `a doubt about an attempt that has ended is no other attempt`(reason: String) {
        var history = HistoryScript()
        history.step(.stepAttemptFailed, "pay", ["next_at": .integer((history.now + .hours(1)).microseconds)])
        history.step(.stepInDoubt, "pay", attempt: 2, ["reason": .string(reason)])
        history.add(.runTerminated)
        #expect(history.spans.map(\.name) == ["attempt pay", "step pay", "run ship"])
        #expect(history.spans.map(\.outcome) == ["failed", "in_doubt", "terminated"])
    }

    @Test func `an attempt cannot begin while nobody has the run`() {
        var history = HistoryScript()
        let next = history.now + .seconds(31)
        history.step(.stepAttemptFailed, "pay", ["next_at": .integer(next.microseconds)])
        history.add(.runPaused)
        history.add(.runUnpaused, "", [:], after: .hours(3))
        history.step(.stepSucceeded, "pay", attempt: 2)
        let attempt = history.spans.named("attempt pay").last
        #expect(attempt?.start == history.time(4) && attempt?["perdure.start_estimated"] == .bool(true))
    }

    @Test func `an update that came too late for any code is a span`() {
        var history = HistoryScript()
        history.add(.updateReceived, "set", ["delivery": "d1"])
        history.add(.updateRejected, "d1", ["name": "set", "unheard": true])
        history.add(.updateRejected, "d2", ["name": "raise", "unheard": true])
        // That one was received by the run before this one.
        history.add(.updateRejected, "d3", ["name": "raise"])
        #expect(history.spans.map(\.name) == ["update set", "update raise"])
        #expect(history.spans.allSatisfy { $0.outcome == "rejected" && $0.error == "rejected" })
    }

    // MARK: Bounds

    @Test func `what is held does not grow with the history`() {
        var history = HistoryScript()
        for number in 0..<2_000 {
            history.step(.stepSucceeded, "loop#\(number + 2)")
            history.add(.runPaused)
        }
        var trace = RunTrace(history.record), count = 0
        for event in history.events { count += trace.add(event).count }
        #expect(count == 4_000 && trace.steps.isEmpty && trace.waits.isEmpty)
        history.add(.runCompleted)
        let root = trace.add(history.events.suffix(1)).root
        #expect(root?.events.count == 128 && root?.droppedEvents == 1_872)
    }
}
