import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

@Suite(.timeLimit(.minutes(5))) struct EvictionTests {
    // Promise: 27
    @Test(arguments: [0, 1, 1_000]) func runsComeBackByTimersAndSignalsWhateverIsKeptInMemory(cached: Int) async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open(configure: { $0.cachedRuns = cached }) {
                Flow { input, context in
                    var text = input
                    for _ in 0..<3 {
                        text += try await context.step("mark", input: text, .idempotent(retention: .forever), irreversible: "x") {
                            text, _ in
                            effects.add("mark")
                            return "m"
                        }
                        try await context.sleep(for: .seconds(60))
                        text += try await context.signal(Poke.self)
                    }
                    return text
                }
            }
            var runs: [RunID] = []
            for number in 0..<5 { runs.append(try await harness.start("\(number)").id) }
            for round in 1...3 {
                let sleep = round == 1 ? "timer.started sleep" : "timer.started sleep#\(round)"
                for run in runs {
                    try await harness.until(run, has: sleep)
                    try await harness.until(run, is: .waiting)
                }
                harness.clock.advance(by: .seconds(60))
                for run in runs { try await harness.engine.client.signal(run, Poke.self, "s", by: EngineHarness.bob) }
            }
            for (number, run) in runs.enumerated() { #expect(try await harness.result(run) == "\(number)msmsms") }
            #expect(effects.count("mark") == 15)
        }
    }

    @Test func aFloodOfSignalsLosesNoneKeepsTheirOrderAndLeavesNoRunBehind() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.cachedRuns = 0 }) {
                Flow { _, context in
                    var all: [String] = []
                    while all.last != "end" { all.append(try await context.signal(Poke.self)) }
                    return all.joined(separator: " ")
                }
            }
            let client = try harness.engine.client
            var runs: [RunID] = []
            for _ in 0..<8 { runs.append(try await harness.start().id) }
            try await withThrowingTaskGroup { group in
                for run in runs {
                    group.addTask {
                        for number in 0..<60 { try await client.signal(run, Poke.self, "\(number)", by: EngineHarness.bob) }
                        try await client.signal(run, Poke.self, "end", by: EngineHarness.bob)
                    }
                }
                try await group.waitForAll()
            }
            let all = (0..<60).map { "\($0)" }.joined(separator: " ") + " end"
            for run in runs { #expect(try await harness.result(run) == all) }
        }
    }

    // Promise: 20
    @Test func twoThousandWaitingRunsDoNotStayInMemory() async throws {
        try await withEngines { harness in
            let engine = try await harness.open(configure: { $0.cachedRuns = 10 }) {
                Flow { _, context in try await context.signal(Poke.self) }
            }
            let runs = try await withThrowingTaskGroup(of: RunID.self) { group in
                for _ in 0..<2_000 { group.addTask { try await engine.start(Flow.self, input: "x", by: EngineHarness.ada).id } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let observer = try await harness.observer()
            try await harness.until { try await observer.store.counts(namespace: nil)[.waiting] == 2_000 }
            try await harness.untilInMemory(of: engine) { $0 <= 10 }
            try await engine.client.signal(runs[1_234], Poke.self, "up", by: EngineHarness.bob)
            #expect(try await harness.result(runs[1_234]) == "up")
        }
    }

    @Test func moreRunsThanMayBeActiveAreTakenOnOneAfterTheOther() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let engine = try await harness.open(configure: { $0.activeRuns = 3 }) {
                Flow { input, context in
                    try await context.read("hold", input: input) { text, _ in
                        try await gate.pass()
                        return text
                    }
                }
            }
            var runs: [RunID] = []
            for number in 0..<20 { runs.append(try await harness.start("\(number)").id) }
            try await harness.until { gate.arrivals == 3 }
            #expect(engine.state.withLock { $0.table.ownedCount } == 3)
            gate.open()
            for (number, run) in runs.enumerated() { #expect(try await harness.result(run) == "\(number)") }
        }
    }

    @Test func aFullEngineDoesNotAskTheStoreAgainAndAgain() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), looks = harness.effects
            let flow = Flow { input, context in
                try await context.sleep(for: .seconds(60))
                return try await context.read("hold", input: input) { text, _ in
                    try await gate.pass()
                    return text
                }
            }
            try await harness.open(configure: { $0.activeRuns = 1 }) { flow }
            let first = try await harness.start("1").id
            try await harness.until(first, is: .waiting)
            let second = try await harness.start("2").id
            try await harness.until(second, is: .waiting)
            harness.clock.advance(by: .seconds(60))
            try await harness.until { gate.arrivals == 1 }
            harness.script.set { call in
                if case .nextWake = call { looks.add("look") }
                return .apply
            }
            // Something that makes the engine look for work, then enough answers of the store to see whether it stops.
            let client = try harness.engine.client
            for _ in 0..<50 { try await client.signal(second, Poke.self, "s", by: EngineHarness.bob) }
            #expect(looks.count("look") == 0)
            harness.script.set(nil)
            gate.open()
            #expect(try await harness.result(first) == "1")
            #expect(try await harness.result(second) == "2")
        }
    }

    @Test func codeThatSwallowsItsEvictionInALoopIsSuspended() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let engine = try await harness.open(configure: { $0.cachedRuns = 0 }) {
                Flow { _, context in
                    while true {
                        do {
                            return try await context.signal(Poke.self)
                        } catch {
                            effects.add("caught")
                        }
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.untilInMemory(of: engine) { $0 == 0 }
            try await harness.until { effects.count("caught") >= 100 }
            try await engine.client.signal(run.id, Poke.self, "out", by: EngineHarness.bob)
            #expect(try await run.result() == "out")
            #expect(effects.count("caught") < 250)
        }
    }

    @Test func aCancellationThatComesWhileTheRunIsBeingReadReachesItsRunningStep() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), reading = harness.gate()
            let flow = Flow { input, context in
                try await context.sleep(for: .seconds(60))
                return try await context.read("hold", input: input) { text, _ in
                    try await gate.pass()
                    return text
                }
            }
            try await harness.open(configure: { $0.cachedRuns = 0 }) { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            harness.script.set { call in
                if case .events = call { await reading.hang() }
                return .apply
            }
            harness.clock.advance(by: .seconds(60))
            try await harness.until { reading.arrivals == 1 }
            try await harness.engine.client.cancel(run.id, by: EngineHarness.bob)
            reading.open()
            let error = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(error?.code == .runCancelled)
        }
    }
}

extension EngineHarness {
    /// Waits until as many runs are in memory. Nothing tells of that, so that this has to look again and again.
    func untilInMemory(of engine: Engine, _ isEnough: (Int) -> Bool) async throws {
        while !isEnough(engine.state.withLock { $0.table.count }) {
            await Task.yield()
            try Task.checkCancellation()
        }
    }
}
