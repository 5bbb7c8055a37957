import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let refused = MachineDriver.failure(isDefinite: true)
private let unclear = MachineDriver.failure()

/// Runs that are terminated, paused, moved or reset before it is clear what of them is lost.
extension MachineLostScenarios {
    @Test func `a run that is terminated after a loss leaves in doubt what may have been sent`() throws {
        let run = try MachineDriver(.parallel([.idempotent("i"), .timer("t", .days(1))]))
        try run.end("i", unclear)
        let count = run.history.count
        try run.restore(to: count, isTakeover: false)
        try run.send(.terminate)
        #expect(run.historyText.suffix(3).contains("step.in_doubt i"))
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a dead letter that a lost part may have tried again is in doubt when its run is terminated`() throws {
        let run = try MachineDriver(.idempotent("n", policy: .retry(.never)))
        try run.end("n", refused)
        let count = try #require(run.commits.last)
        try run.retry("n")
        try run.end("n")
        try run.restore(to: count)
        #expect(run.machine.stuckStep("n")?.phase == .deadLetter)
        try run.send(.terminate)
        #expect(run.historyText.suffix(2) == ["step.in_doubt n", "run.terminated"])
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a run that is terminated while a step that may be lost waits for its key leaves it in doubt`() throws {
        let key = BusinessKey(namespace: "default", step: "o", key: "order-7")
        let other = BusinessKeyRecord(
            key: key, generation: 0, holder: RunID(milliseconds: 5, random: (5, 5)), subject: "theirs",
            inputDigest: SaltedDigest.hex(salt: [], canonicalBytes: Code.input("o")), outcome: .open)
        let run = try MachineDriver(.atMostOnce("o", key: "order-7"), keys: [other])
        try run.restore(to: 1)
        #expect(run.machine.steps.values.first?.phase == .awaitingKey)
        try run.send(.terminate)
        #expect(run.historyText.suffix(2) == ["step.in_doubt o", "run.terminated"])
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a run that is paused after a loss sends nothing without its approval and takes no key that is held`() throws {
        let key = BusinessKey(namespace: "default", step: "keyed", key: "order-7")
        let code = Code.parallel([
            Code.idempotent("keyed", key: "order-7").named("n"),
            Code.idempotent("keyed", approval: Program.approval, key: "order-7").named("m"),
        ])
        let run = try MachineDriver(code)
        #expect(run.keys[key]?.subject == "n" && run.historyText.last == "approval.requested m")
        try run.restore(to: run.history.count) { $0.deliver(.pause) }
        #expect(run.historyText.last == "run.paused" && !run.historyText.contains("step.intended m"), "it has no key")
        try run.resume()
        #expect(run.isRunning("n") && run.machine.steps.values.contains { $0.phase == .awaitingKey })
        try run.end("n", refused)
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `what may be lost is in doubt before a run is paused or goes on with another version`() throws {
        for kind in [InboxKind.pause, .repin] {
            let run = try MachineDriver(
                .parallel([
                    .idempotent("o", approval: Program.approval), .atMostOnce("p"), .idempotent("q", key: "order-7"), .read("r"),
                    .idempotent("s"),
                ]))
            let count = try #require(run.commits.first)
            try run.restore(to: count) { $0.deliver(kind, "", kind == .repin ? Array(#""2""#.utf8) : nil) }
            let stands = kind == .pause ? "run.paused" : "run.repinned"
            #expect(
                run.historyText.suffix(7) == [
                    "step.intended o", "step.in_doubt o", "step.intended p", "step.in_doubt p", "step.intended q",
                    "step.intended s", stands,
                ])
            #expect(run.keys.values.contains { $0.subject == "q" && $0.outcome == .open })
            if kind == .pause { try run.resume() } else { try run.evict() }
            #expect(!run.isRunning("o") && !run.isRunning("p") && run.isRunning("q") && run.isRunning("s"))
            try run.playToTheEnd()
            #expect(run.violations() + run.problems() == [])
        }
    }

    @Test func `a run is not reset before what may have been lost is in doubt`() throws {
        for isIdempotent in [false, true] {
            let run = try MachineDriver(
                .sequence([.idempotent("a", undo: isIdempotent ? .idempotent : .atMostOnce(hasProbe: false)), .fails]))
            try run.end("a")
            let count = try #require(run.commits.last { $0 < run.history.count })
            #expect(run.historyText[..<count].last == "step.succeeded a")
            try run.restore(to: count) { $0.deliver(.reset, "", ResetRequest(to: 1, completed: .adopt).bytes) }
            #expect(run.kinds.contains(isIdempotent ? .undoStarted : .undoInDoubt))
            let refusal = try #require(try run.history.last { $0.kind == .operatorAction }?.attributes.object())
            #expect(refusal["refused"]?.stringValue == "reset_refused")
            #expect(run.violations() + run.problems() == [])
        }
    }

    @Test func `an undo that may be lost has begun before a run is paused or goes on with another version`() throws {
        for kind in [InboxKind.pause, .repin] {
            let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .fails]))
            try run.end("a")
            let count = try #require(run.commits.last { $0 < run.history.count })
            try run.restore(to: count) { $0.deliver(kind, "", kind == .repin ? Array(#""2""#.utf8) : nil) }
            #expect(run.historyText.suffix(2) == ["undo.started a", kind == .pause ? "run.paused" : "run.repinned"])
            if kind == .pause { try run.resume() } else { try run.evict() }
            try run.playToTheEnd()
            #expect(run.violations() + run.problems() == [])
        }
    }

    @Test func `a run that is reset after a loss still knows of it`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .signal("s"), .atMostOnce("o")]))
        try run.end("r")
        try run.restore(to: 2)
        try run.reset(to: 1, .undo)
        try run.end("r")
        try run.send(.signal, "s", "1")
        #expect(run.historyText.suffix(2) == ["step.in_doubt o", "run.parked"])
        #expect(run.problems() == [])
    }
}
