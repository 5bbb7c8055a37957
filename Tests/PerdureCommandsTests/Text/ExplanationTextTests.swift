import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite struct ExplanationTextTests {
    private func explain(_ history: HistoryBuilder, unread: Int = 0) -> String {
        let explanation = RunExplanation(history.record, RunView(history.events), unread: unread, now: history.now)
        return ExplanationText.render(explanation, program: "app", style: .plain)
    }

    private let run = HistoryBuilder.run.description

    @Test func anApprovalIsWaitedFor() {
        var history = HistoryBuilder()
        history.ask("charge")
        history.record.wakeAt = HistoryBuilder.start + .seconds(259_200)
        #expect(
            explain(history) == """
                Run \(run) of ship 2.1 is waiting and wakes by itself at 2026-03-04 12:00:00Z (in 2d 23h) at the latest.
                Step 'charge' waits for an approval by role:finance; nobody deciding until 2026-03-04 12:00:00Z (in 2d 23h) is a denial.

                  app approve \(run) charge
                      to release it
                  app deny \(run) charge --reason WHY
                      to refuse it

                """)
    }

    // Promise: 28
    @Test func aDoubtComesWithItsWaysOut() {
        var history = HistoryBuilder()
        history.intend("charge")
        history.add(.runResumed, ["clean": false])
        history.add(
            .stepInDoubt, "charge",
            ["effect": "at_most_once", "reason": "interrupted", "quiet_after": HistoryBuilder.time(after: .seconds(60))])
        history.record.state = .parked
        history.record.note = "'charge' is in doubt (interrupted)"
        let text = explain(history)
        #expect(text.contains("is parked: nothing but a person's decision moves it."))
        #expect(
            text.contains(
                "Step 'charge' is in doubt (the process ended between the intent and the outcome): it may have happened."))
        for words in ["--happened --result JSON", "--did-not-happen", "--undo --result JSON", "--abort"] {
            #expect(text.contains("app resolve \(run) charge \(words)"))
        }
        #expect(text.contains("(not before 2026-03-01 12:01:00Z (in 56s))"))
    }

    @Test func aCancelledRunNamesWhatStays() {
        let text = explain(TimelineTextTests.history())
        #expect(text.contains("was cancelled at 2026-03-01 14:00:15Z, 2h after it started"))
        #expect(text.contains("One step stays done and cannot be taken back by the run: 'charge' (money has moved)."))
    }

    @Test func childrenThatStayOrGoOnAreNamed() {
        var history = HistoryBuilder()
        let one = HistoryBuilder.run.description
        history.add(
            .childStarted, "ship", ["workflow": "ship", "version": "1", "run": .string(one), "irreversible": "it has left"])
        history.add(.childCompleted, "ship", ["run": .string(one)], output: "1")
        history.add(.childStarted, "mail", ["workflow": "mail", "version": "1", "run": .string(one), "detached": true])
        history.add(.runFailed, ["code": "step_failed", "message": "no"])
        let text = explain(history)
        #expect(text.contains("One step stays done and cannot be taken back by the run: 'child ship' (it has left)."))
        #expect(text.contains("Child 'mail', run \(one) of mail, goes on or has ended by itself."))
    }

    @Test func aChildThatCannotBeLookedAtIsPointedTo() {
        var history = HistoryBuilder()
        let child = HistoryBuilder.run.description
        history.add(.childStarted, "ship", ["workflow": "ship", "version": "1", "run": .string(child)])
        history.add(.childCancelRequested, "ship", ["run": .string(child)])
        let text = explain(history)
        #expect(text.contains("It waits for child 'ship', run \(child) of ship 1, which was told to end."))
        #expect(text.contains("app explain \(child)"))
    }

    @Test func messagesThatNobodyHasReadAreMentioned() {
        #expect(explain(HistoryBuilder(), unread: 2).contains("2 accepted messages are not taken in yet"))
    }

    @Test(arguments: ["ready", "running", "blocked", "paused", "quarantined"])
    func everyOpenStateHasASentence(_ state: String) throws {
        var history = HistoryBuilder()
        history.record.state = try #require(.init(rawValue: state))
        history.record.note = "Because."
        #expect(explain(history).contains(" is \(state)"))
    }

    @Test func commandsAreQuotedForTheShell() {
        #expect(CommandText.line("app", ["approve", "it's #2"]) == #"app approve 'it'\''s #2'"#)
    }

    @Test func aRunThatWaitsForAKeySaysWhoHoldsIt() {
        let holder = HistoryBuilder.run
        let key = BusinessKey(namespace: "default", step: "charge", key: "order 7")
        let record = BusinessKeyRecord(
            key: key, generation: 0, holder: holder, subject: "part/charge", inputDigest: "", outcome: .open)
        let history = HistoryBuilder()
        let explanation = RunExplanation(
            history.record, RunView(history.events), keys: [BusinessKeyWait(subject: "charge", record: record)], now: history.now)
        let text = ExplanationText.render(explanation, program: "app", style: .plain)
        #expect(text.contains("Step 'charge' waits for the key 'order 7', which 'part/charge' of run \(holder) holds"))
        #expect(!text.contains("waits for a signal"))
    }

    @Test func anAttemptBeyondItsDeadlineIsCalledSo() {
        var history = HistoryBuilder()
        history.add(.stepIntended, "charge", ["effect": "at_most_once", "deadline": HistoryBuilder.time(after: .seconds(1))])
        history.record.state = .running
        history.add(.timerStarted, "t", ["due": HistoryBuilder.time(after: .seconds(900))])
        let text = explain(history)
        #expect(text.contains("was released and has no outcome yet; its attempt should have ended by 2026-03-01 12:00:01Z"))
    }
}
