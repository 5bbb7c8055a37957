import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// The engine knows no difference between a file and a store in memory.
@Suite(.timeLimit(.minutes(5))) struct MemoryStoreTests {
    // Promise: 1
    @Test func aRunOverAStoreInMemoryOutlivesItsProcessAndRepeatsNothing() async throws {
        try await withEngines(inMemory: true) { harness in
            let effects = harness.effects, gate = harness.gate()
            let flow = Flow { input, context in
                let made = try await context.step("make", input: input, .idempotent(retention: .forever), irreversible: "x") {
                    text, _ in
                    effects.add("make")
                    return text.uppercased()
                }
                let sent = try await context.step("send", input: made, .idempotent(retention: .forever), irreversible: "x") {
                    text, step in
                    effects.add("send \(text)", key: step.idempotencyKey)
                    // The first run is in the middle of it when its process dies.
                    if text == "RUN 1", effects.count("send \(text)") == 1 { try await gate.pass() }
                    return text
                }
                try await context.sleep(for: .seconds(86_400))
                return sent
            }
            try await harness.open { flow }
            var runs: [RunID] = []
            for number in 1...3 { runs.append(try await harness.start("run \(number)", key: "\(number)").id) }
            try await harness.until { gate.arrivals == 1 }
            for run in runs.dropFirst() { try await harness.until(run, is: .waiting) }
            try await harness.crash()
            try await harness.open { flow }
            for run in runs { try await harness.until(run, is: .waiting) }
            harness.clock.advance(by: .seconds(86_400))
            for (number, run) in runs.enumerated() { #expect(try await harness.result(run) == "RUN \(number + 1)") }
            #expect(effects.count("make") == 3)
            #expect((1...3).map { effects.count("send RUN \($0)") } == [2, 1, 1])
            for (number, run) in runs.enumerated() {
                let resumed = try await harness.history(run).filter { $0.kind == .runResumed }
                #expect(resumed.count { $0.attributes.text.contains("\"clean\":false") } == (number == 0 ? 1 : 0))
            }
        }
    }
}
