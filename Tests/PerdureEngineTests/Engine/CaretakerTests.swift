import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdureEngine

/// Runs that are looked after without their code, as a pure value.
@Suite struct CaretakerTests {
    private let intent: Attributes = ["effect": "at_most_once", "business_key": "order 7"]

    private func caretaker(of run: SampleRun, _ state: RunState = .running, now: Timestamp = Sample.start) -> Caretaker {
        var record = run.record
        record.state = state
        let claim = ClaimedRun(record: record, previous: state, head: run.head, isTakeover: false)
        var caretaker = Caretaker(claim, now: now)
        caretaker.read(run.events)
        return caretaker
    }

    private func row(_ number: Int64, _ kind: InboxKind, _ name: String = "", _ resolution: Resolution? = nil) throws -> InboxRow
    {
        let payload = try resolution.map { try Payload.encode($0, what: "a resolution").bytes }
        let delivery = Delivery(
            to: Sample.runID(), id: "\(number)", kind: kind, name: name, payload: payload, sender: Sample.person)
        return InboxRow(number: number, run: 1, at: Sample.start, delivery: delivery)
    }

    @Test(arguments: [
        ("charge", "charge"), ("charge#2", "charge"), ("charge[a%2Fb]", "charge"), ("scope/charge", "charge"),
        ("scope[x]#2/inner/charge[7]#3", "charge"), ("scope/\u{301}charge#2", "\u{301}charge"),
    ])
    func `a step's name is found in its subject`(_ subject: String, _ name: String) {
        #expect(Name.ofOperation(subject) == name)
    }

    @Test func `a run that is ended without its code takes its children's ends in and terminates the others`() throws {
        let ids = (0..<3).map { _ in Sample.runID() }
        var run = SampleRun()
        for (name, id) in zip(["done", "open", "own"], ids) {
            let attributes = Attributes.make(
                ("run", .string(id.description)), ("abandon", name == "own" ? JSONValue.bool(true) : Optional<JSONValue>.none))
            run.append(EventDraft(.childStarted, subject: name, attributes: attributes))
        }
        var caretaker = caretaker(of: run)
        let end = Delivery(
            to: run.record.id, id: "e", kind: .childResult, name: "done",
            payload: ChildResult(run: ids[0], kind: .runCancelled).payload,
            sender: .run(ids[0]))
        caretaker.take([InboxRow(number: 1, run: 1, at: Sample.start, delivery: end), try row(2, .terminate)])
        #expect(caretaker.consumed == [1, 2] && caretaker.end == .terminated)
        #expect(
            caretaker.events.map { "\($0.kind.rawValue) \($0.subject)" } == [
                "child.cancelled done", "child.cancelled open", "child.cancelled own", "run.terminated ",
            ])
        #expect(caretaker.deliveries.map(\.run) == [ids[1]] && caretaker.deliveries.allSatisfy { $0.kind == .terminate })
    }

    @Test func `what did not happen after an error that cannot be retried is not tried again by the code`() throws {
        var run = SampleRun()
        run.append(EventDraft(.stepIntended, subject: "a", attributes: intent))
        run.append(EventDraft(.stepInDoubt, subject: "a", attributes: ["reason": "non_retryable"]))
        run.append(EventDraft(.stepInDoubt, subject: "a", attributes: ["reason": "probe_failed"]))
        var caretaker = caretaker(of: run)
        caretaker.take([try row(1, .signal, "go"), try row(2, .resolve, "a", Resolution(kind: .didNotHappen))])
        #expect(caretaker.consumed.isEmpty && caretaker.held == [2] && caretaker.hasResolved)
        #expect(try caretaker.events.map { try $0.attributes.object()["next"]?.stringValue } == ["failure"])
        let key = BusinessKey(namespace: "default", step: "a", key: "order 7")
        #expect(caretaker.settles == [BusinessKeySettlement(key: key, subject: "a", end: .free)])
    }

    @Test func `without the code as well a word is not believed that names another mark of a loss than the last one`() throws {
        var run = SampleRun()
        run.append(EventDraft(.stepIntended, subject: "a", attributes: intent))
        run.append(EventDraft(.stepInDoubt, subject: "a", attributes: ["reason": "interrupted"]))
        let first = LossMark(run.append(LostPart(since: Sample.start, until: Sample.start, by: Sample.person).event))
        let last = LossMark(run.append(LostPart(since: Sample.start, until: Sample.start, by: Sample.person).event))
        for kind in [ResolutionKind.didNotHappen, .abort, .happened] {
            for mark in [nil, first, last] as [LossMark?] {
                var caretaker = caretaker(of: run, now: Sample.start + .hours(1))
                caretaker.take([try row(1, .resolve, "a", Resolution(kind: kind, mark: mark))])
                let isBelieved = kind == .happened || mark == last
                #expect(caretaker.hasResolved == isBelieved)
                let attributes = try #require(caretaker.events.last).attributes.object()
                #expect(attributes["refused"]?.stringValue == (isBelieved ? nil : "run_restored"))
                #expect(attributes["mark"]?.integerValue == (isBelieved ? mark?.seq : nil))
            }
        }
    }

    @Test func `a mark that was lost itself is not taken for the one in its place`() throws {
        var lost = SampleRun()
        lost.append(EventDraft(.stepIntended, subject: "a", attributes: intent))
        var run = lost
        lost.append(EventDraft(.stepInDoubt, subject: "a", attributes: ["reason": "interrupted"]))
        run.append(EventDraft(.stepInDoubt, subject: "a", attributes: ["reason": "lost"]))
        let part = LostPart(since: Sample.start, until: Sample.start, by: Sample.person)
        let seen = lost.append(part.event), standing = run.append(part.event)
        #expect(seen.seq == standing.seq && seen.at == standing.at)
        var caretaker = caretaker(of: run, now: Sample.start + .hours(1))
        caretaker.take([try row(1, .resolve, "a", Resolution(kind: .didNotHappen, mark: LossMark(seen)))])
        #expect(!caretaker.hasResolved)
        #expect(try caretaker.events.last?.attributes.object()["refused"]?.stringValue == "run_restored")
    }

    @Test func `an undo that a terminated run left in doubt and that did not happen leaves its step's outcome to others`() throws
    {
        var run = SampleRun()
        run.append(EventDraft(.stepIntended, subject: "a", attributes: intent))
        run.append(EventDraft(.stepInDoubt, subject: "a", attributes: ["reason": "interrupted"]))
        run.append(EventDraft(.stepResolved, subject: "a", attributes: ["resolution": "undo"], output: .inline(Array("1".utf8))))
        run.append(EventDraft(.undoStarted, subject: "a"))
        run.append(EventDraft(.undoInDoubt, subject: "a", attributes: ["reason": "terminated"]))
        run.append(EventDraft(.runTerminated))
        var caretaker = caretaker(of: run, .terminated)
        caretaker.take([try row(1, .resolve, "a", Resolution(kind: .didNotHappen))])
        #expect(caretaker.events.map(\.kind) == [.undoResolved])
        #expect(caretaker.settles.map(\.end) == [.happened(output: Array("1".utf8))])
        #expect(caretaker.view.isClosedCleanly)
    }

    @Test func `of a run that ends every message is taken in, and what surely did not happen is cancelled`() throws {
        var run = SampleRun()
        run.append(EventDraft(.stepIntended, subject: "sent", attributes: ["effect": "at_most_once"]))
        run.append(EventDraft(.stepIntended, subject: "failed", attributes: intent))
        run.append(EventDraft(.stepAttemptFailed, subject: "failed", attributes: ["definite": true, "next_at": 1]))
        run.append(EventDraft(.stepIntended, subject: "doubted", attributes: ["effect": "at_most_once"]))
        run.append(EventDraft(.stepInDoubt, subject: "doubted", attributes: ["reason": "interrupted"]))
        var caretaker = caretaker(of: run)
        let output = Data("1".utf8)
        caretaker.take([
            try row(1, .signal, "go"), try row(2, .terminate), try row(3, .cancel), try row(4, .terminate),
            try row(5, .keySettled),
            try row(6, .resolve, "doubted", Resolution(kind: .happened, output: output)),
        ])
        #expect(caretaker.consumed.sorted() == [1, 2, 3, 4, 5, 6] && caretaker.end == .terminated)
        #expect(
            caretaker.events.map { "\($0.kind.rawValue) \($0.subject)" } == [
                "signal.undelivered go", "operator.action ", "operator.action ", "step.resolved doubted", "step.in_doubt sent",
                "step.cancelled failed", "run.terminated ",
            ])
        #expect(caretaker.settles.map(\.end) == [.free])
    }

    private func terminated(_ run: SampleRun) throws -> Caretaker {
        var caretaker = caretaker(of: run)
        caretaker.take([try row(1, .terminate)])
        #expect(caretaker.end == .terminated)
        return caretaker
    }

    private func texts(_ caretaker: Caretaker) -> [String] {
        caretaker.events.map { $0.subject.isEmpty ? $0.kind.rawValue : "\($0.kind.rawValue) \($0.subject)" }
    }

    private let keyed: Attributes = ["effect": "idempotent", "business_key": "order 7", "quiet_after": 1_770_000_060_000_000]
    private let died: Attributes = ["clean": false, "node": "node-2"]

    // Promise: 13
    @Test(arguments: [true, false])
    func `an attempt that was due when its process died may have happened`(wasDue: Bool) throws {
        var run = SampleRun()
        let at = Sample.start.microseconds
        run.append(EventDraft(.stepIntended, subject: "a", attributes: keyed))
        run.append(
            EventDraft(
                .stepAttemptFailed, subject: "a",
                attributes: ["definite": true, "effect": "idempotent", "next_at": .integer(wasDue ? at : at + 1)]))
        run.append(EventDraft(.runResumed, attributes: died))
        let caretaker = try terminated(run)
        #expect(texts(caretaker) == [wasDue ? "step.in_doubt a" : "step.cancelled a", "run.terminated"])
        #expect(
            caretaker.settles.map(\.end) == (wasDue ? [] : [.free]), "nobody else may act under the key of what may have happened"
        )
        if wasDue {
            #expect(
                try #require(caretaker.view.step("a")?.quietAfter) == Sample.start + .seconds(60), "as long as an attempt may act"
            )
        }
    }

    @Test func `a person's retry does not tell what became of the attempt before`() throws {
        var run = SampleRun()
        let effect: Attributes = ["effect": "idempotent", "reason": "exhausted"]
        run.append(EventDraft(.stepInDoubt, subject: "a", attributes: effect))
        run.append(EventDraft(.operatorAction, subject: "a", attributes: ["action": "retry"]))
        #expect(texts(try terminated(run)) == ["step.in_doubt a", "run.terminated"])
        run.append(EventDraft(.runResumed, attributes: died))
        #expect(texts(try terminated(run)) == ["step.in_doubt a", "run.terminated"])
    }

    @Test(arguments: ["retry", "did_not_happen"])
    func `a plain step that a person has released anew may have been sent by a process that died`(_ release: String) throws {
        var run = SampleRun()
        run.append(
            EventDraft(
                .stepAttemptFailed, subject: "a", attributes: ["effect": "idempotent", "definite": true, "exhausted": true]))
        if release == "retry" {
            run.append(EventDraft(.operatorAction, subject: "a", attributes: ["action": "retry"]))
        } else {
            run.append(EventDraft(.stepResolved, subject: "a", attributes: ["resolution": "did_not_happen"]))
        }
        #expect(texts(try terminated(run)) == ["step.cancelled a", "run.terminated"])
        run.append(EventDraft(.runResumed, attributes: died))
        #expect(texts(try terminated(run)) == ["step.in_doubt a", "run.terminated"])
    }

    @Test func `a step that was resolved for good is over, and its key is not freed twice`() throws {
        var run = SampleRun()
        run.append(EventDraft(.stepIntended, subject: "a", attributes: keyed))
        run.append(EventDraft(.stepInDoubt, subject: "a", attributes: ["reason": "non_retryable"]))
        run.append(EventDraft(.stepResolved, subject: "a", attributes: ["resolution": "did_not_happen", "next": "failure"]))
        let caretaker = try terminated(run)
        #expect(texts(caretaker) == ["run.terminated"] && caretaker.settles.isEmpty)
    }

    @Test func `an undo that has begun is in doubt when its run is terminated, and one that has not leaves the outcome`() throws {
        var run = SampleRun()
        run.append(EventDraft(.stepIntended, subject: "a", attributes: keyed))
        run.append(EventDraft(.stepInDoubt, subject: "a", attributes: ["reason": "interrupted"]))
        run.append(EventDraft(.stepResolved, subject: "a", attributes: ["resolution": "undo"], output: .inline(Array("1".utf8))))
        let before = try terminated(run)
        #expect(texts(before) == ["run.terminated"])
        #expect(before.settles.map(\.end) == [.happened(output: Array("1".utf8))])
        run.append(EventDraft(.undoStarted, subject: "a", attributes: ["effect": "idempotent"]))
        run.append(
            EventDraft(.undoAttemptFailed, subject: "a", attributes: ["effect": "idempotent", "definite": true, "next_at": 1]))
        let after = try terminated(run)
        #expect(texts(after) == ["undo.in_doubt a", "run.terminated"] && after.settles.isEmpty)
    }

    @Test func `only deaths of the first two processes, and those while a run was watched, count against it`() {
        var run = SampleRun()
        func charged() -> [Int] {
            let standing = RunView(run.events).standing
            return [standing.deathsWithoutProgress, standing.chargedDeaths]
        }
        for _ in 0..<3 { run.append(EventDraft(.runResumed, attributes: died)) }
        #expect(charged() == [3, 2])
        run.append(EventDraft(.runResumed, attributes: ["watched": true, "node": "node-2"]))
        run.append(EventDraft(.runResumed, attributes: ["watched": false, "node": "node-2"]))
        run.append(EventDraft(.runResumed, attributes: died))
        #expect(charged() == [4, 2])
        run.append(EventDraft(.runResumed, attributes: ["watched": true, "node": "node-2"]))
        run.append(EventDraft(.runResumed, attributes: died))
        #expect(charged() == [5, 3])
        run.append(EventDraft(.timerFired, subject: "t"))
        #expect(charged() == [0, 0])
    }
}
