import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct RecoveryTests {
    /// Sends something and hangs there, the first time for each input.
    private func hanging(_ harness: EngineHarness, _ gate: StepGate, isDeaf: Bool = false) -> Flow {
        let effects = harness.effects
        return Flow { input, context in
            let first = try await context.read("look", input: input) { text, _ in text }
            return try await context.step(
                "send", input: first, .idempotent(retention: .forever), policy: .plain(), irreversible: "x"
            ) { text, step in
                effects.add("send \(text)", key: step.idempotencyKey)
                if effects.count("send \(text)") == 1 {
                    if isDeaf { await gate.hang() } else { try await gate.pass() }
                }
                return text
            }
        }
    }

    // Promise: 9
    @Test func aRecoveryIsMeasuredFromOpeningTheStoreUntilEveryRunMovesAndLosesNone() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), flow = hanging(harness, gate)
            try await harness.open { flow }
            var runs: [RunID] = []
            for number in 1...3 { runs.append(try await harness.start("\(number)").id) }
            try await harness.until { gate.arrivals == 3 }
            try await harness.until { try harness.engine.recovery.isFinished }
            #expect(try harness.engine.recovery.runsTakenOver == 0)
            try await harness.crash()
            let process = try await harness.make { flow }
            #expect(!process.engine.recovery.isFinished)
            harness.clock.advance(by: .seconds(7))
            process.start(harness.pulse)
            try await harness.until { process.engine.recovery.isFinished }
            let report = process.engine.recovery
            #expect(report.duration == .seconds(7))
            #expect(report.runsTakenOver == 3 && report.runsMoving == 3 && report.runsHeldBack == 0 && report.runsOpen == 0)
            // Each had one step under way; what was complete is not made again.
            #expect(report.attemptsRepeated == 3)
            for (number, run) in runs.enumerated() { #expect(try await harness.result(run) == "\(number + 1)") }
            #expect(harness.effects.all.count == 6)
            try await harness.until { harness.logs.lines.contains("recovery finished") }
            let said = harness.logs.entries.filter { $0.message == "recovery finished" }
            #expect(said.map(\.level) == [.info])
            #expect(said.first?.metadata["runs"] == "3" && said.first?.metadata["attempts_repeated"] == "3")
        }
    }

    // Promise: 9
    @Test func runsThatWereHandedOverAreNotTakenOverButTheirAttemptsAreMadeAgain() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open { hanging(harness, gate, isDeaf: true) }
            let first = try await harness.start("1"), second = try await harness.start("2")
            try await harness.until { gate.arrivals == 2 }
            try await harness.stop(after: .seconds(31))
            try await harness.open { hanging(harness, gate, isDeaf: true) }
            try await harness.until(first.id, is: .completed)
            try await harness.until(second.id, is: .completed)
            #expect(try harness.engine.recovery.runsTakenOver == 0)
            #expect(try harness.engine.recovery.attemptsRepeated == 2)
        }
    }

    // Promise: 9
    @Test func aRunThatCannotGoOnIsCountedAsHeldBack() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open { hanging(harness, gate) }
            let good = try await harness.start("good"), bad = try await harness.start("bad")
            try await harness.until { gate.arrivals == 2 }
            try await harness.crash()
            try Tampering.change(
                harness.path,
                """
                UPDATE events SET output = CAST('"forged"' AS BLOB)
                WHERE kind = 'step.succeeded' AND run = (SELECT max(number) FROM runs)
                """
            )
            try await harness.open { hanging(harness, gate) }
            try await harness.until { try harness.engine.recovery.isFinished }
            let report = try harness.engine.recovery
            #expect(report.runsTakenOver == 2 && report.runsMoving == 1 && report.runsHeldBack == 1)
            #expect(try await harness.record(bad.id).state == .quarantined)
            #expect(try await harness.result(good.id) == "good")
        }
    }

    // Promise: 9
    @Test func aRecoveryHasNotFinishedWhileARunCannotBeRead() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), flow = hanging(harness, gate)
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.crash()
            harness.script.set { call in
                if case .events = call { return .fail(.unavailable("the disk is away")) }
                return .apply
            }
            try await harness.open { flow }
            try await harness.until { harness.logs.count("a run cannot be read") == 1 }
            let report = try harness.engine.recovery
            #expect(!report.isFinished && report.runsTakenOver == 1 && report.runsOpen == 1)
            harness.script.set(nil)
            try await harness.untilPausing(for: .seconds(1))
            harness.clock.advance(by: .seconds(1))
            #expect(try await harness.result(run.id) == "x")
            let after = try harness.engine.recovery
            #expect(after.runsMoving == 1 && after.runsOpen == 0)
            #expect(try #require(after.duration) >= .seconds(1))
        }
    }
}
