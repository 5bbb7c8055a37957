import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Proven once, resumed safely, closed cleanly: three facts of a run that was really run, each of them true and each of them false.
///
/// The engine makes no run of which the first two are false. So histories of real runs are changed here as somebody would who can
/// compute the chain anew.
@Suite(.timeLimit(.minutes(5))) struct ProofTests {
    struct Facts: Equatable {
        var isProvenOnce: Bool
        var isResumedSafely: Bool
        var isClosedCleanly: Bool

        init(_ isProvenOnce: Bool, _ isResumedSafely: Bool, _ isClosedCleanly: Bool) {
            self.isProvenOnce = isProvenOnce
            self.isResumedSafely = isResumedSafely
            self.isClosedCleanly = isClosedCleanly
        }

        init(_ report: HistoryVerifier.Report) {
            self.init(report.isProvenOnce, report.isResumedSafely, report.isClosedCleanly)
        }
    }

    /// A run that was killed in the middle of a step that must not be repeated. Its end is left to the body.
    private func interrupted(_ body: (EngineHarness, RunID, StepGate) async throws -> Void) async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let flow = Flow { input, context in
                try await context.step(
                    "pay", input: input, .atMostOnce(inDoubt: .askPerson), policy: .plain(), irreversible: "x"
                ) { text, _ in
                    try await gate.pass()
                    return text
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.crash()
            try await harness.open { flow }
            try await harness.until(run.id, is: .parked)
            try await body(harness, run.id, gate)
        }
    }

    /// The facts of the run as the store has it, or of the same with some of its events left out and the chain computed anew.
    private func facts(
        _ harness: EngineHarness, _ run: RunID, without isLeftOut: (Event) -> Bool = { _ in false }
    ) async throws -> Facts {
        let record = try await harness.record(run), events = try await harness.history(run)
        var head = ChainHead.start(namespace: record.namespace, run: run.description)
        let kept = events.filter { !isLeftOut($0) }.map { event in
            head.append(
                EventDraft(
                    event.kind, subject: event.subject, attributes: event.attributes, input: event.input, output: event.output),
                run: run.description, now: event.at)
        }
        return Facts(HistoryVerifier.verify(record, kept))
    }

    // Promise: 15
    @Test func aRunThatWasInterruptedAndSettledHasAllThree() async throws {
        try await interrupted { harness, run, _ in
            #expect(try await facts(harness, run) == Facts(true, true, false))
            let paid = Data(#""paid""#.utf8)
            try await harness.engine.client.resolve(run, step: "pay", .happened(result: paid), by: EngineHarness.bob)
            #expect(try await harness.result(run) == "paid")
            #expect(try await facts(harness, run) == Facts(true, true, true))
        }
    }

    // Promise: 15
    @Test func aRunThatLeavesADoubtIsNotClosedCleanly() async throws {
        try await interrupted { harness, run, _ in
            try await harness.engine.client.terminate(run, by: EngineHarness.bob)
            try await harness.until(run, is: .terminated)
            #expect(try await facts(harness, run) == Facts(true, true, false))
        }
    }

    // Promise: 15
    @Test func aStepThatWasSentWithoutAnIntentIsNotProvenOnce() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.step("pay", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { text, _ in
                        text
                    }
                }
            }
            let run = try await harness.start()
            _ = try await run.result()
            #expect(try await facts(harness, run.id) == Facts(true, true, true))
            #expect(try await facts(harness, run.id, without: { $0.kind == .stepIntended }) == Facts(false, true, true))
        }
    }

    // Promise: 15
    @Test func aRunThatGoesOnAsIfNothingHadBeenUnderWayWasNotResumedSafely() async throws {
        try await interrupted { harness, run, gate in
            harness.clock.advance(by: .seconds(70))
            try await harness.engine.client.resolve(run, step: "pay", .didNotHappen, by: EngineHarness.bob)
            try await harness.until(run, has: "step.intended pay", times: 2)
            gate.open()
            #expect(try await harness.result(run) == "x")
            #expect(try await facts(harness, run) == Facts(true, true, true))
            // What was sent again without asking what had become of it is not proven to have happened once either.
            let blindly = try await facts(harness, run) { [.stepInDoubt, .stepResolved].contains($0.kind) }
            #expect(blindly == Facts(false, false, true))
        }
    }
}
