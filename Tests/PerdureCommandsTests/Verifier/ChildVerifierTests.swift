import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What a history, and two of them together, have to keep of children.
@Suite struct ChildVerifierTests {
    private static let child = RunID(milliseconds: 1_733_700_000_000, random: (3, 4))
    private static let run: [String: JSONValue] = ["run": .string(child.description)]

    private static func started(_ more: [String: JSONValue] = [:]) -> [String: JSONValue] {
        ["workflow": "work", "version": "1"].merging(run) { $1 }.merging(more) { $1 }
    }

    private func parent(_ change: (inout HistoryBuilder) -> Void = { _ in }) -> HistoryBuilder {
        var history = HistoryBuilder()
        history.add(.childStarted, "work", Self.started(), input: "1")
        change(&history)
        return history
    }

    private func expect(at seq: Int64?, _ history: HistoryBuilder, sourceLocation: SourceLocation = #_sourceLocation) {
        let first = history.verify().problems.first
        #expect(first?.rule == .child && first?.seq == seq, "found \(String(describing: first))", sourceLocation: sourceLocation)
    }

    @Test func aChildThatCompletedAndWasUndoneIsSound() {
        let history = parent { history in
            history.add(.childCancelRequested, "work", Self.run)
            history.add(.childCompleted, "work", Self.run, output: "2")
            history.undo("work")
            history.add(.childCancelled, "never")
            history.add(.childStarted, "own", ["run": "x", "detached": true], input: "1")
            history.add(.runCancelled)
        }
        let report = history.verify()
        #expect(report.problems == [] && report.isClosedCleanly)
    }

    @Test func aChildStartsOnceAndEndsOnce() {
        expect(at: 3, parent { $0.add(.childStarted, "work", Self.started(), input: "1") })
        expect(
            at: 4,
            parent { history in
                history.add(.childCompleted, "work", Self.run, output: "2")
                history.add(.childFailed, "work", Self.run)
            })
        expect(
            at: 4,
            parent { history in
                history.add(.childCancelRequested, "work", Self.run)
                history.add(.childCancelRequested, "work", Self.run)
            })
        expect(at: 3, parent { $0.add(.childCompleted, "other", Self.run, output: "2") })
        expect(at: 3, parent { $0.add(.childCompleted, "work", ["run": "x"], output: "2") })
    }

    @Test func aRunClosesAfterItsChildren() {
        expect(at: 3, parent { $0.add(.runCompleted, "", [:], output: "1") })
        expect(at: 3, parent { $0.add(.runTerminated) })
        let terminated = parent { history in
            history.add(.childCancelled, "work", Self.run.merging(["terminated": true]) { $1 })
            history.add(.runTerminated)
        }
        #expect(terminated.verify().problems == [])
    }

    // MARK: Two histories

    private func work(
        of parent: HistoryBuilder, subject: String = "work", input: String = "1", by: JSONValue? = nil, end: EventDraft
    ) -> (record: RunRecord, events: [Event]) {
        let salt = [UInt8](repeating: 9, count: 16)
        let record = RunRecord(
            id: Self.child, namespace: "default", workflow: "work", version: "1", key: nil,
            inputDigest: SaltedDigest.hex(salt: salt, canonicalBytes: Array(input.utf8)), salt: salt, state: .completed,
            createdAt: HistoryBuilder.start)
        let link = ParentLink(run: parent.record.id, subject: subject)
        let started = EventDraft(
            .runStarted,
            attributes: .make(
                ("workflow", "work"), ("version", "1"), ("parent", link.json),
                ("by", by ?? HistoryBuilder.who("workload", "shop"))), input: .inline(Array(input.utf8)))
        var head = ChainHead.start(namespace: "default", run: Self.child.description)
        return (record, head.append(contentsOf: [started, end], run: Self.child.description, now: HistoryBuilder.start))
    }

    private func problems(_ parent: HistoryBuilder, _ child: (record: RunRecord, events: [Event])) -> [HistoryVerifier.Problem] {
        HistoryVerifier.verify(parent.record, parent.events, children: [child]).problems
    }

    private let done = EventDraft(.runCompleted, output: .inline(Array("2".utf8)))

    // Promise: 10
    @Test func parentAndChildHaveToSayTheSameOfEachOther() {
        let parent = parent { $0.add(.childCompleted, "work", Self.run, output: "2") }
        #expect(problems(parent, work(of: parent, end: done)) == [])
        #expect(problems(parent, work(of: parent, subject: "other", end: done)).map(\.seq) == [2])
        #expect(problems(parent, work(of: parent, input: "7", end: done)).map(\.seq) == [2])
        #expect(problems(parent, work(of: parent, by: HistoryBuilder.who("human", "eve"), end: done)).map(\.seq) == [2])
        let other = EventDraft(.runCompleted, output: .inline(Array("3".utf8)))
        #expect(problems(parent, work(of: parent, end: other)).map(\.seq) == [3])
        #expect(problems(parent, work(of: parent, end: EventDraft(.runCancelled))).map(\.seq) == [3])
        #expect(problems(parent, work(of: parent, end: EventDraft(.statusReported))).map(\.seq) == [3])
    }

    @Test func everyEndOfAChildHasItsCounterpart() {
        let failed = parent { $0.add(.childFailed, "work", Self.run.merging(["code": "a"]) { $1 }) }
        #expect(problems(failed, work(of: failed, end: EventDraft(.runFailed, attributes: ["code": "a"]))) == [])
        #expect(problems(failed, work(of: failed, end: EventDraft(.runTerminated))) == [])
        #expect(problems(failed, work(of: failed, end: EventDraft(.runFailed, attributes: ["code": "b"]))).map(\.seq) == [3])
        let cancelled = parent { $0.add(.childCancelled, "work", Self.run) }
        #expect(problems(cancelled, work(of: cancelled, end: EventDraft(.runCancelled))) == [])
        #expect(problems(cancelled, work(of: cancelled, end: done)).map(\.seq) == [3])
        let alone = parent { $0.add(.childCancelled, "work", Self.run.merging(["abandoned": true]) { $1 }) }
        #expect(problems(alone, work(of: alone, end: EventDraft(.statusReported))) == [])
    }
}
