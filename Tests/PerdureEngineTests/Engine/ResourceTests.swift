import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// Limits and circuits, shared by all runs of an engine.
@Suite(.timeLimit(.minutes(5))) struct ResourceTests {
    private static var policy: StepPolicy {
        var policy = StepPolicy.plain()
        // Time moves far ahead of the engine in here.
        policy.attemptTimeout = .days(7)
        policy.resource = "bank"
        return policy
    }

    private static func paying(_ body: @escaping @Sendable (String) async throws -> Void) -> Flow {
        Flow { input, context in
            try await context.act(
                "pay", input: input, .idempotent(retention: .forever), policy: policy, irreversible: "paid"
            ) { input, _ in
                try await body(input)
            }
            return input
        }
    }

    @Test func noMoreAttemptsAreUnderWayAtOnceThanTheResourceAllows() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), inside = Mutex((now: 0, most: 0))
            try await harness.open(configure: { $0.resources["bank"] = ResourceLimits(concurrency: 3) }) {
                Self.paying { input in
                    inside.withLock { count in
                        count.now += 1
                        count.most = max(count.most, count.now)
                    }
                    harness.effects.add(input)
                    defer { inside.withLock { $0.now -= 1 } }
                    try await gate.pass()
                }
            }
            var runs: [Run<String>] = []
            for number in 1...10 { runs.append(try await harness.start("\(number)")) }
            try await harness.until { harness.effects.all.count == 3 }
            gate.open()
            for run in runs { _ = try await run.result() }
            #expect(inside.withLock { $0.most } == 3)
            #expect(harness.effects.all.count == 10)
        }
    }

    // Promise: 18
    @Test func anOutageUsesUpNoAttemptsOfTheRunsThatWaitAndOneGoesFirstAfterIt() async throws {
        try await withEngines { harness in
            let isDown = Mutex(true)
            try await harness.open(configure: {
                $0.resources["bank"] = ResourceLimits(circuit: .init(failures: 2, pause: .minutes(1), longestPause: .minutes(1)))
            }) {
                Self.paying { input in
                    harness.effects.add(input)
                    if isDown.withLock({ $0 }) { throw Hiccup() }
                }
            }
            var runs: [Run<String>] = []
            for number in 1...20 {
                runs.append(try await harness.start("\(number)"))
                try await harness.until(runs[number - 1].id, is: .waiting)
            }
            // Two have failed; the other eighteen have not been sent.
            #expect(harness.effects.all.count == 2)
            let waiting = try await harness.record(runs[19].id)
            #expect(waiting.note?.contains("bank") == true)
            let failed = try await harness.count("step.attempt_failed pay", in: runs[19].id)
            #expect(failed == 0)
            isDown.withLock { $0 = false }
            try await harness.advanceUntil(by: .seconds(20)) {
                for run in runs where try await !harness.record(run.id).state.isFinal { return false }
                return true
            }
            #expect(harness.effects.all.count == 22)
        }
    }

    @Test func aStepThatIsGivenUpWhileItWaitsForItsResourceWasNeverSent() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open(configure: { $0.resources["bank"] = ResourceLimits(concurrency: 1) }) {
                Self.paying { input in
                    harness.effects.add(input)
                    try await gate.pass()
                }
            }
            let first = try await harness.start("first")
            try await harness.until { harness.effects.all == ["first"] }
            let second = try await harness.start("second")
            try await harness.engine.client.cancel(second.id, by: EngineHarness.bob)
            try await harness.until(second.id, is: .cancelled)
            gate.open()
            _ = try await first.result()
            let third = try await harness.start("third")
            _ = try await third.result()
            #expect(harness.effects.all == ["first", "third"])
        }
    }

    @Test func anAtMostOnceStepThatWaitsForItsResourceHasNoIntent() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let flow = Flow { input, context in
                try await context.act(
                    "pay", input: input, .atMostOnce(inDoubt: .askPerson), policy: Self.policy, irreversible: "paid"
                ) { input, _ in
                    harness.effects.add(input)
                    try await gate.pass()
                }
                return input
            }
            try await harness.open(configure: { $0.resources["bank"] = ResourceLimits(concurrency: 1) }) { flow }
            let first = try await harness.start("first")
            try await harness.until { harness.effects.all == ["first"] }
            let second = try await harness.start("second")
            try await harness.until(second.id, is: .running)
            try await harness.crash()
            gate.open()
            try await harness.open(build: "build-1") { flow }
            #expect(try await harness.result(second.id) == "second")
            try await harness.until(first.id, is: .parked)
        }
    }
}
