import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite struct HistoryVerifierTests {
    /// A history with everything in it: attempts, an approval, a takeover, a doubt that a person clears up, undos.
    static func soundHistory() -> HistoryBuilder {
        var history = HistoryBuilder()
        history.done("reserve")
        history.ask("charge")
        history.decide("charge")
        history.add(.approvalConsumed, "charge")
        history.intend("charge")
        history.add(.stepAttemptFailed, "charge", ["effect": "at_most_once", "attempt": 1, "definite": true])
        history.intend("charge", attempt: 2)
        history.add(.runResumed, ["clean": false])
        history.add(.stepInDoubt, "charge", ["effect": "at_most_once", "reason": "interrupted"])
        history.add(.stepResolved, "charge", ["resolution": "did_not_happen"])
        history.intend("charge", attempt: 2)
        history.add(.stepSucceeded, "charge", ["effect": "at_most_once", "attempt": 2], output: "{}")
        history.done("label")
        history.add(.runCancelRequested, ["by": HistoryBuilder.who("human", "ada")])
        history.undo("label")
        history.undo("reserve")
        history.add(.runCancelled)
        return history
    }

    // Promise: 15
    @Test func aSoundHistoryProvesAllThreeFacts() {
        let report = Self.soundHistory().verify()
        #expect(report.problems == [])
        #expect(report.isProvenOnce && report.isResumedSafely && report.isClosed && report.isClosedCleanly)
        #expect(report.takeovers == 1)
    }

    @Test func anOpenRunIsSoundAndNotClosed() {
        var history = HistoryBuilder()
        history.done("reserve")
        let report = history.verify()
        #expect(report.isSound && !report.isClosed && !report.isClosedCleanly)
    }

    @Test func whatIsSentInAPauseIsNamed() {
        var history = HistoryBuilder()
        history.add(.runPaused, ["by": HistoryBuilder.who("human", "ada")])
        history.intend("charge")
        history.add(.runUnpaused, ["by": HistoryBuilder.who("human", "ada")])
        #expect(history.verify().problems.map(\.rule) == [.paused])
    }

    @Test func aResetIsAskedForSettledAndNotFollowedByTheSameKey() {
        func rules(to: Int64 = 1, asked: Int64? = 1, isSettled: Bool = true, key: String = "pk_2") -> [HistoryVerifier.Rule] {
            var history = HistoryBuilder()
            let effect: [String: JSONValue] = ["effect": "at_most_once", "attempt": 1]
            history.add(.stepIntended, "charge", effect.merging(["key": "pk_1"]) { $1 })
            if isSettled { history.add(.stepSucceeded, "charge", effect, output: "{}") }
            if let asked { history.add(.operatorAction, ["action": "reset", "to": .integer(asked), "completed": "keep"]) }
            history.add(.runReset, ["to": .integer(to), "completed": "keep"])
            history.add(.stepIntended, "charge", effect.merging(["key": .string(key), "generation": 1]) { $1 })
            history.add(.stepSucceeded, "charge", effect, output: "{}")
            return history.verify().problems.map(\.rule)
        }
        #expect(rules() == [])
        #expect(rules(key: "pk_1") == [.reset])
        #expect(rules(asked: nil) == [.reset])
        #expect(rules(to: 99, asked: 99).first == .reset)
        #expect(rules(isSettled: false) == [.unsettled])
    }

    @Test func aForkIsComparedWithItsSourceAndUndoesNothingOfIt() throws {
        var source = HistoryBuilder()
        let last = source.add(.stepSucceeded, "charge", ["effect": "idempotent", "attempt": 1], output: "{}")
        let origin: JSONValue = [
            "run": .string(HistoryBuilder.run.description), "seq": 2, "hash": .string("\(last.hash)"), "copied": 2,
        ]
        var fork = HistoryBuilder(fork: origin)
        fork.add(.stepSucceeded, "charge", ["effect": "idempotent", "attempt": 1], output: "{}")
        fork.add(.runForked, ["run": .string(HistoryBuilder.run.description), "seq": 2])
        #expect(HistoryVerifier.verify(fork.record, fork.events, origin: source.events).problems == [])
        var stray = source
        stray.add(.runForked, ["run": .string(HistoryBuilder.run.description), "seq": 2])
        #expect(HistoryVerifier.verify(stray.record, stray.events).problems.map(\.rule) == [.beginning])
        let shorter = Array(source.events.prefix(1))
        #expect(HistoryVerifier.verify(fork.record, fork.events, origin: shorter).problems.map(\.rule) == [.succession])
        var other = source.events
        other[1].output = .inline(Array("7".utf8))
        let problems = HistoryVerifier.verify(fork.record, fork.events, origin: other).problems
        #expect(problems.map(\.rule) == [.succession] && problems.map(\.seq) == [2])
        fork.add(.undoStarted, "charge", ["effect": "idempotent", "attempt": 1])
        fork.add(.undoSucceeded, "charge", ["effect": "idempotent", "attempt": 1])
        #expect(HistoryVerifier.verify(fork.record, fork.events).problems.map(\.rule) == [.undoOrder])
    }

    @Test func theRowIsOnTheVersionThatTheHistoryHasComeTo() {
        var history = HistoryBuilder()
        history.add(.runRepinned, ["from": "2.1", "to": "3"])
        #expect(history.verify().problems.map(\.rule) == [.row])
        history.record.version = "3"
        #expect(history.verify().problems == [])
        history.add(.runRepinned, ["from": "2", "to": "4"])
        history.record.version = "4"
        #expect(history.verify().problems.map(\.rule) == [.row])
    }

    // Promise: 15
    @Test func aTerminatedRunThatLeavesADoubtIsSoundButNotClosedCleanly() {
        var history = HistoryBuilder()
        history.intend("charge")
        history.add(.stepInDoubt, "charge", ["effect": "at_most_once", "reason": "terminated"])
        history.add(.runTerminated)
        #expect(history.verify().isSound && !history.verify().isClosedCleanly)
        history.add(.stepResolved, "charge", ["resolution": "happened"], output: "{}")
        #expect(history.verify().isSound && history.verify().isClosedCleanly)
    }

    private func expect(
        _ rule: HistoryVerifier.Rule, at seq: Int64?, _ history: HistoryBuilder, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let first = history.verify().problems.first
        #expect(first?.rule == rule && first?.seq == seq, "found \(String(describing: first))", sourceLocation: sourceLocation)
    }

    @Test func aChangedEventBreaksTheChainThere() {
        var history = Self.soundHistory()
        history.events[4].subject = "chargf"
        expect(.chain, at: 5, history)
    }

    @Test func aMissingEventBreaksTheChainThere() {
        var history = Self.soundHistory()
        history.events.remove(at: 9)
        expect(.chain, at: 10, history)
    }

    @Test func anEndThatWasCutOffDoesNotMatchTheRow() {
        var history = Self.soundHistory()
        history.events.removeLast()
        expect(.row, at: nil, history)
    }

    @Test func aHistoryOfAnotherWorkflowDoesNotMatchTheRow() {
        var history = Self.soundHistory()
        history.record.workflow = "other"
        expect(.row, at: nil, history)
    }

    @Test func anotherInputDoesNotMatchTheRow() {
        var history = Self.soundHistory()
        history.record.inputDigest = history.digest("{}")
        expect(.row, at: nil, history)
    }

    @Test func aQuarantinedRunIsNeverSound() {
        var history = Self.soundHistory()
        history.record.state = .quarantined
        expect(.row, at: nil, history)
    }

    @Test func aHistoryWithoutEventsIsNoHistory() {
        var history = Self.soundHistory()
        history.events = []
        expect(.beginning, at: nil, history)
    }

    @Test func aSecondStartIsNamed() {
        var history = HistoryBuilder()
        history.add(.runStarted)
        expect(.beginning, at: 2, history)
    }

    @Test func aStepAfterTheEndIsNamed() {
        var history = HistoryBuilder()
        history.add(.runCompleted, output: "1")
        history.done("late")
        expect(.end, at: 3, history)
    }

    @Test func anAtMostOnceStepWithoutAnIntentIsNamed() {
        var history = HistoryBuilder()
        history.add(.stepSucceeded, "charge", ["effect": "at_most_once", "attempt": 1], input: "1", output: "{}")
        expect(.intentBeforeDispatch, at: 2, history)
    }

    @Test func aDoubtWithoutAnIntentIsNamed() {
        var history = HistoryBuilder()
        history.add(.stepInDoubt, "charge", ["effect": "at_most_once", "reason": "interrupted"])
        expect(.intentBeforeDispatch, at: 2, history)
    }

    @Test func aSecondIntentWithoutProofIsNamed() {
        var history = HistoryBuilder()
        history.intend("charge")
        history.intend("charge")
        expect(.intentRepeated, at: 3, history)
    }

    @Test func aSecondIntentAfterAnIndefiniteFailureIsNamed() {
        var history = HistoryBuilder()
        history.intend("charge")
        history.add(.stepAttemptFailed, "charge", ["effect": "at_most_once", "attempt": 1, "definite": false])
        history.intend("charge", attempt: 2)
        expect(.intentRepeated, at: 4, history)
    }

    @Test func anIntentThatReplacesAnUnsentOneIsInOrder() {
        var history = HistoryBuilder()
        history.intend("charge")
        history.add(.stepIntended, "charge", ["effect": "at_most_once", "attempt": 1, "replaces_unsent": true])
        history.add(.stepSucceeded, "charge", ["effect": "at_most_once", "attempt": 1], output: "{}")
        history.add(.runCompleted, output: "1")
        #expect(history.verify().problems == [])
    }

    @Test func anIntentThatReplacesAnotherProcesssIsNamed() {
        var history = HistoryBuilder()
        history.intend("charge")
        history.add(.runResumed, ["clean": false])
        history.add(.stepIntended, "charge", ["effect": "at_most_once", "attempt": 1, "replaces_unsent": true])
        expect(.intentRepeated, at: 4, history)
    }

    @Test func aCancelledStepThatMayHaveHappenedIsNamed() {
        var history = HistoryBuilder()
        history.add(.stepAttemptFailed, "charge", ["effect": "idempotent", "attempt": 1, "definite": false], input: "1")
        history.add(.stepCancelled, "charge", ["effect": "idempotent"])
        expect(.effectForgotten, at: 3, history)
    }

    // Promise: 15
    @Test func sendingAgainAfterATakeoverIsNamed() {
        var history = HistoryBuilder()
        history.intend("charge")
        history.add(.runResumed, ["clean": false])
        history.add(.stepSucceeded, "charge", ["effect": "at_most_once", "attempt": 1], output: "{}")
        expect(.resumedBlindly, at: 4, history)
        #expect(!history.verify().isResumedSafely)
    }

    @Test func aSecondOutcomeIsNamed() {
        var history = HistoryBuilder()
        history.done("reserve")
        history.done("reserve")
        expect(.outcomeRepeated, at: 3, history)
        #expect(!history.verify().isProvenOnce)
    }

    @Test func aReleaseWithoutADecisionIsNamed() {
        var history = HistoryBuilder()
        history.ask("charge")
        history.intend("charge")
        expect(.approval, at: 3, history)
    }

    @Test func anApprovalUsedTwiceIsNamed() {
        var history = HistoryBuilder()
        history.ask("charge")
        history.decide("charge")
        history.add(.approvalConsumed, "charge")
        history.add(.approvalConsumed, "charge")
        expect(.approval, at: 5, history)
    }

    @Test func aDenialThatIsUsedIsNamed() {
        var history = HistoryBuilder()
        history.ask("charge")
        history.decide("charge", approved: false)
        history.add(.approvalConsumed, "charge")
        expect(.approval, at: 4, history)
    }

    @Test func aDecisionOnAnotherViewIsNamed() {
        var history = HistoryBuilder()
        history.ask("charge")
        history.decide("charge", view: #"{"input":1}"#)
        expect(.approval, at: 3, history)
    }

    @Test func aDigestThatIsNotOfTheViewIsNamed() {
        var history = HistoryBuilder()
        history.add(.approvalRequested, "charge", ["view_digest": "00"], input: #"{"input":12}"#)
        expect(.approval, at: 2, history)
    }

    @Test func undoingTheOlderStepFirstIsNamed() {
        var history = HistoryBuilder()
        history.done("first")
        history.done("second")
        history.add(.runCancelRequested)
        history.undo("first")
        history.undo("second")
        expect(.undoOrder, at: 5, history)
    }

    @Test func aScopeThatUnwindsAloneKeepsTheOrder() {
        var history = HistoryBuilder()
        history.done("trip/hotel")
        history.done("insurance")
        history.undo("trip/hotel")
        history.undo("insurance")
        #expect(history.verify().problems == [])
    }

    @Test func undoingWhatNeverHappenedIsNamed() {
        var history = HistoryBuilder()
        history.undo("reserve")
        expect(.undoOrder, at: 2, history)
    }

    @Test func closingOverAnOpenIntentIsNamed() {
        var history = HistoryBuilder()
        history.intend("charge")
        history.add(.runCompleted, output: "1")
        expect(.unsettled, at: 3, history)
        #expect(!history.verify().isClosedCleanly)
    }

    @Test func attributesThatCannotBeReadAreNamed() {
        var history = HistoryBuilder()
        history.done("reserve")
        history.events[1].attributes = Attributes(storedText: "{")
        expect(.chain, at: 2, history)
        #expect(history.verify().problems.contains { $0.rule == .readable })
    }

    /// A history that has expired, as its builder, and what is left of it.
    private func expired() -> HistoryBuilder {
        var history = HistoryBuilder()
        history.done("a")
        let end = history.add(.runCompleted, output: "1")
        let event = history.add(
            .runExpired, "", ["state": "completed", "last_hash": .string(end.hash.description), "closed_at": 1])
        history.record.tombstone = Tombstone(expiredAt: event.at, lastSeq: end.seq, lastHash: end.hash)
        return history
    }

    @Test("the one event of a tombstone proves that it ends the chain it names, and no more")
    func tombstone() throws {
        let history = expired(), end = try #require(history.events.last)
        let report = HistoryVerifier.verify(history.record, [end])
        #expect(report.isSound && report.isClosed && report.expiredAfter == 3)
        #expect(!report.isProvenOnce && !report.isResumedSafely)
    }

    @Test("a tombstone that was changed is found, whatever was changed of it")
    func changedTombstone() throws {
        let history = expired(), end = try #require(history.events.last)
        var record = history.record
        record.tombstone?.lastSeq = 7
        #expect(HistoryVerifier.verify(record, [end]).problems.contains { $0.rule == .chain })
        record = history.record
        record.tombstone?.lastHash = end.hash
        #expect(HistoryVerifier.verify(record, [end]).problems.contains { $0.rule == .chain })
        record = history.record
        record.state = .failed
        #expect(HistoryVerifier.verify(record, [end]).problems.contains { $0.rule == .row })
        #expect(HistoryVerifier.verify(history.record, []).problems.contains { $0.rule == .beginning })
        #expect(HistoryVerifier.verify(history.record, Array(history.events.suffix(2))).problems.contains { $0.rule == .end })
    }

    @Test("a history that is verified in parts gives the report of the whole")
    func parts() {
        var history = HistoryBuilder()
        for number in 0..<10 { history.done("step#\(number)") }
        history.undo("step#3")
        history.undo("step#7")
        history.add(.stepSucceeded, "step#1", ["effect": "idempotent", "attempt": 1], output: "2")
        history.add(.runCompleted, output: "1")
        history.events[8].subject = "changed"
        let whole = history.verify()
        #expect(whole.problems.count > 2)
        for size in [1, 2, 5, 100] {
            var verifier = HistoryVerifier(history.record)
            for start in stride(from: 0, to: history.events.count, by: size) {
                verifier.add(Array(history.events[start..<min(start + size, history.events.count)]))
            }
            #expect(verifier.finish().problems == whole.problems)
        }
    }

    @Test("of a history beyond the limit of the rules the chain is checked to its end")
    func ruleLimit() {
        var history = HistoryBuilder()
        for number in 0..<50 { history.done("step#\(number)") }
        history.done("step#3")
        history.add(.runCompleted, output: "1")
        var verifier = HistoryVerifier(history.record, ruleLimit: 10)
        verifier.add(history.events)
        #expect(verifier.finish().isSound)
        history.events[48].subject = "changed"
        verifier = HistoryVerifier(history.record, ruleLimit: 10)
        verifier.add(history.events)
        #expect(verifier.finish().problems.map(\.rule) == [.chain])
    }
}
