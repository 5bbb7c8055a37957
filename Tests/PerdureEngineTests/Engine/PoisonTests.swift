import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Of the runs whose processes died, only the one that is to blame is parked.
@Suite(.timeLimit(.minutes(5))) struct PoisonTests {
    /// A trapper comes to the place where it takes its process down; all others are busy with something long.
    private func flow(_ effects: Effects, _ gate: StepGate) -> Flow {
        Flow { input, context in
            try await context.step("work", input: input, .idempotent(retention: .forever), irreversible: "x") { text, _ in
                effects.add(text)
                await gate.hang()
                return text
            }
        }
    }

    // Promise: 6
    @Test func `of four runs whose process dies again and again only the one that traps is parked`() async throws {
        try await withEngines { harness in
            let effects = harness.effects, gate = harness.gate()
            let flow = flow(effects, gate)
            try await harness.open { flow }
            var innocents: [RunID] = []
            for name in ["one", "two", "three"] { innocents.append(try await harness.start(name).id) }
            let trapper = try await harness.start("trap").id
            try await harness.until { gate.arrivals == 4 }
            for death in 1...3 {
                try await harness.advance(by: .milliseconds(250), whileWaiting: trapper) { effects.count("trap") == death }
                try await harness.crash()
                try await harness.open { flow }
            }
            try await harness.until(trapper, is: .parked)
            #expect(try await harness.record(trapper).note?.contains("died 3 times") == true)
            gate.open()
            for run in innocents {
                try await harness.until {
                    let state = try await harness.record(run).state
                    #expect(state != .parked)
                    if state.isFinal || state == .parked { return true }
                    harness.clock.advance(by: .milliseconds(250))
                    Task { harness.pulse.ring() }
                    return false
                }
                #expect(try await harness.record(run).state == .completed)
            }
        }
    }

    @Test func `a suspect is watched alone, and history says when that begins and ends`() async throws {
        try await withEngines { harness in
            let effects = harness.effects, gate = harness.gate()
            let flow = flow(effects, gate)
            try await harness.open { flow }
            let runs = [try await harness.start("one").id, try await harness.start("two").id]
            try await harness.until { gate.arrivals == 2 }
            try await harness.crash()
            try await harness.open { flow }
            try await harness.until { gate.arrivals == 4 }
            try await harness.crash()
            try await harness.open { flow }
            // Both come back, one after the other.
            try await harness.until {
                if gate.arrivals == 6 { return true }
                harness.clock.advance(by: .milliseconds(250))
                Task { harness.pulse.ring() }
                return false
            }
            var watched: [[Bool]] = []
            for run in runs {
                try await harness.until {
                    harness.clock.advance(by: .milliseconds(250))
                    Task { harness.pulse.ring() }
                    return try await harness.watched(run).count == 2
                }
                watched.append(try await harness.watched(run))
            }
            #expect(watched == [[true, false], [true, false]])
            let views = try await [harness.observer().view(of: runs[0]), harness.observer().view(of: runs[1])]
            #expect(views.allSatisfy { $0.standing.chargedDeaths == 2 && !$0.standing.isWatched })
        }
    }

    @Test func `a suspect that comes to rest has done no harm`() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in try await context.signal(Poke.self) }
            // Two processes die when they are about to give the run up.
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.givesUp }) else { return .apply }
                return .dieBefore
            }
            try await harness.open { flow }
            let run = try await harness.start().id
            try await harness.until { harness.isDead }
            try await harness.crash()
            try await harness.open { flow }
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            try await harness.open { flow }
            try await harness.advance(by: .milliseconds(250), whileWaiting: run) { try await harness.watched(run).count == 2 }
            #expect(try await harness.watched(run) == [true, false])
            try await harness.engine.client.signal(run, Poke.self, "go", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "go")
        }
    }
}

extension CommitItem {
    fileprivate var givesUp: Bool {
        guard case .advance(let advance) = self else { return false }
        return advance.transition?.state == .waiting
    }
}

extension EngineHarness {
    /// What the history says of the run's being watched, in order.
    fileprivate func watched(_ run: RunID) async throws -> [Bool] {
        try await history(run).compactMap { try $0.attributes.object()["watched"]?.boolValue }
    }
}
