import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Whether every event continues the state before it, judged from the history alone.
@Suite struct StateContinuityTests {
    private func problems(_ build: (inout HistoryBuilder) -> Void) -> [StateContinuity.Problem] {
        var history = HistoryBuilder()
        build(&history)
        return StateContinuity(history.events).problems
    }

    private static let due = HistoryBuilder.time(after: .seconds(2))

    // Promise: 3
    @Test func whatAnEngineWritesContinuesItself() {
        let found = problems { history in
            history.add(.timerStarted, "nap", ["due": Self.due])
            history.add(.stepAttemptFailed, "call", ["attempt": 1, "definite": true])
            history.add(.runResumed, ["clean": false, "build": "b", "node": "n"])
            history.add(.timerFired, "nap")
            history.add(.timerStarted, "nap#2", ["due": Self.due])
            history.add(.stepAttemptFailed, "call", ["attempt": 2, "definite": false])
            history.add(.stepInDoubt, "call", ["attempt": 2, "reason": "exhausted"])
            history.add(.runParked)
            history.add(.stepResolved, "call", ["resolution": "did_not_happen"])
            history.add(.runUnparked)
            history.add(.stepSucceeded, "call", ["attempt": 3])
            history.add(.runBlocked)
            history.add(.runResumed, ["clean": true, "build": "c", "node": "m"])
            history.add(.runUnblocked)
            history.ask("pay")
            history.decide("pay")
            history.add(.questionAsked, "region")
            history.add(.questionCancelled, "region")
            history.add(.timerCancelled, "never begun")
            history.undo("call")
            history.add(.runFailed, ["code": "x"])
        }
        #expect(found == [])
    }

    /// Kinds with subjects and attempts, and the rule that the last of them breaks.
    private static let breaches: [(history: String, rule: StateContinuity.Rule)] = [
        ("step.attempt_failed a 1, step.attempt_failed a 1", .attempt),
        ("step.attempt_failed a 2, step.intended a 1", .attempt),
        ("step.attempt_failed a 1, step.succeeded a 1", .attempt),
        ("undo.attempt_failed a 1, undo.started a 1", .attempt),
        ("step.succeeded a 1, step.intended a 2", .outcome),
        ("step.cancelled a, step.succeeded a 1", .outcome),
        ("timer.fired t", .wait),
        ("timer.started t, timer.started t", .wait),
        ("question.answered q", .wait),
        ("approval.decided a", .wait),
        ("question.asked q, question.expired q, question.answered q", .wait),
        ("run.unblocked", .standstill),
        ("run.unparked", .standstill),
        ("run.unpaused", .standstill),
        ("run.blocked, step.intended a 1", .standstill),
        ("run.blocked, timer.started t", .standstill),
        ("run.paused, run.paused", .standstill),
    ]

    // Promise: 3
    @Test("what does not continue the state is named", arguments: breaches)
    func broken(_ text: String, rule: StateContinuity.Rule) throws {
        var history = HistoryBuilder()
        let lines = text.split(separator: ", ").map { $0.split(separator: " ").map(String.init) }
        for words in lines {
            let kind = try #require(EventKind(rawValue: words[0]))
            let attempt = words.count > 2 ? Int64(words[2]) : nil
            history.add(kind, words.count > 1 ? words[1] : "", attempt.map { ["attempt": .integer($0)] } ?? [:])
        }
        let found = StateContinuity(history.events).problems
        #expect(found.map(\.rule) == [rule] && found.first?.seq == Int64(lines.count + 1))
    }

    @Test func aTimerDoesNotFireBeforeItIsDue() {
        let found = problems { history in
            history.add(.timerStarted, "nap", ["due": HistoryBuilder.time(after: .seconds(100))])
            history.add(.timerFired, "nap")
        }
        #expect(found.map(\.rule) == [.wait])
    }

    @Test func aResetPutsTheStateBackAndNoFurther() {
        func reset(_ then: (inout HistoryBuilder) -> Void) -> [StateContinuity.Problem] {
            problems { history in
                history.add(.timerStarted, "nap", ["due": Self.due])
                history.done("kept")
                history.add(.timerFired, "nap")
                history.done("again")
                history.add(.runBlocked)
                history.add(.runReset, ["to": 3])
                then(&history)
            }
        }
        #expect(
            reset { history in
                history.add(.timerFired, "nap")
                history.done("again")
            } == [])
        #expect(reset { $0.done("kept") }.map(\.rule) == [.outcome])
        // It may say once more when it is due, and no more often.
        #expect(reset { $0.add(.timerStarted, "nap") } == [])
        let twice = reset { history in
            for _ in 0..<2 { history.add(.timerStarted, "nap") }
        }
        #expect(twice.map(\.rule) == [.wait])
    }
}
