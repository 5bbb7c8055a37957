import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite struct TimelineTextTests {
    static func history() -> HistoryBuilder {
        var history = HistoryBuilder(key: "order-7")
        let who = HistoryBuilder.who("human", "ada")
        history.add(
            .stepAttemptFailed, "reserve",
            [
                "effect": "idempotent", "attempt": 1, "definite": false, "type": "Timeout", "message": "no answer",
                "next_at": HistoryBuilder.time(after: .seconds(3)),
            ], input: #""book""#)
        history.pass(.seconds(1))
        history.add(.stepSucceeded, "reserve", ["effect": "idempotent", "attempt": 2], output: #"{"id":"r-1"}"#)
        history.add(.signalReceived, "go", ["by": who], input: "41")
        history.ask("charge")
        history.pass(.seconds(7_200))
        history.decide("charge")
        history.add(.approvalConsumed, "charge")
        history.add(
            .stepIntended, "charge", ["effect": "at_most_once", "attempt": 1, "irreversible": "money has moved"], input: "12")
        history.add(.runResumed, ["clean": false])
        history.add(.stepInDoubt, "charge", ["effect": "at_most_once", "reason": "interrupted"])
        history.add(
            .stepResolved, "charge", ["resolution": "happened", "by": who, "reason": "seen in the ledger"], output: "{}")
        history.add(.runCancelRequested, ["by": who])
        history.undo("reserve")
        history.add(.runCancelled)
        return history
    }

    // Promise: 28
    @Test func aHistoryIsATimeline() {
        let history = Self.history()
        let view = history.digest(#"{"input":12}"#).prefix(12)
        let expected = """
            \(HistoryBuilder.run)  ship 2.1  key order-7  cancelled
            started 2026-03-01 12:00:00Z by workload shop (unauthenticated), took 2h

             1    +0.000s  run           started with {"amount":12,"item":"book"}
             2    +1.000s  reserve       attempt 1 failed, may have happened: Timeout: no answer; next at +3.000s
             3    +3.000s  reserve       done → {"id":"r-1"} at attempt 2
             4    +4.000s  go            signal from human ada (unauthenticated): 41
             5    +5.000s  charge        approval asked of role:finance until +3d 00:00:00, view \(view)
             6  +02:00:06  charge        approved by human ada (unauthenticated): "looks right"
             7  +02:00:07  charge        approval used
             8  +02:00:08  charge        attempt 1 intended, at most once with 12; irreversible: money has moved
             9  +02:00:09  run           taken over: the process that owned it died
            10  +02:00:10  charge        in doubt: the process ended between the intent and the outcome
            11  +02:00:11  charge        it happened, says human ada (unauthenticated): "seen in the ledger"
            12  +02:00:12  run           cancellation asked for by human ada (unauthenticated)
            13  +02:00:13  undo reserve  attempt 1 intended
            14  +02:00:14  undo reserve  done
            15  +02:00:15  run           cancelled

            """
        #expect(TimelineText.render(history.record, history.events, style: .plain) == expected)
    }

    @Test func childrenHaveALineForEachEvent() {
        var history = HistoryBuilder()
        let run: JSONValue = .string(HistoryBuilder.run.description)
        history.add(.childStarted, "ship", ["run": run, "irreversible": "it has left"], input: "1")
        history.add(.childCancelRequested, "ship", ["run": run])
        history.add(.childFailed, "ship", ["run": run, "code": "broken", "message": "no"])
        history.add(.childStarted, "mail", ["run": run, "detached": true], input: "1")
        for more in [["terminated": true], ["abandoned": true], [:]] as [[String: JSONValue]] {
            history.add(.childCancelled, "mail", ["run": run].merging(more) { $1 })
        }
        history.add(.childCancelled, "never")
        let text = TimelineText.render(history.record, history.events, style: .plain)
        for line in [
            "child ship   started as run \(HistoryBuilder.run) with 1; irreversible: it has left", "child ship   told to end",
            "child ship   failed with broken: no",
            "child mail   started as run \(HistoryBuilder.run), which goes on by itself with 1",
            "child mail   terminated with this run", "child mail   no longer waited for; it goes on by itself",
            "child mail   cancelled", "child never  given up before it was started",
        ] {
            #expect(text.contains("\(line)\n"), "\(line)")
        }
    }

    @Test func theHistoryThatIsShownIsSound() {
        #expect(Self.history().verify().problems == [])
    }

    @Test func textFromOutsideCannotMoveTheCursor() {
        var history = HistoryBuilder()
        history.add(.stepAttemptFailed, "call\u{1B}[2J", ["attempt": 1, "message": "\u{1B}[31mred\r\n"])
        let text = TimelineText.render(history.record, history.events, style: .plain)
        #expect(!text.contains("\u{1B}") && !text.contains("\r"))
    }

    @Test func aLongValueIsCut() {
        var history = HistoryBuilder()
        history.add(.stepSucceeded, "call", ["attempt": 1], output: "\"\(String(repeating: "x", count: 5_000))\"")
        let longest = TimelineText.render(history.record, history.events, style: .plain).split(separator: "\n").map(\.count).max()
        #expect((longest ?? 0) < 120)
    }
}
