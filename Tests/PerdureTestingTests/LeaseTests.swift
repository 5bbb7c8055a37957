import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// Nodes that stand still while others take their runs over.
@Suite(.timeLimit(.minutes(5))) struct LeaseTests {
    /// Sees when an intent becomes durable.
    private final class Gate: StoreGate {
        private let simulation: Simulation
        private let intended = Mutex<Int?>(nil)
        /// So many turns had been taken by then.
        var intendedAt: Int? { intended.withLock { $0 } }

        init(_ simulation: Simulation) { self.simulation = simulation }

        func willCall(_ call: StaticString, by process: SimulatedProcess) {}

        func commit(
            _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
        ) async throws(StoreError) -> [CommitResult] {
            let results = try await base.commit(items)
            let isIntent = items.contains { item in
                if case .advance(let advance) = item { advance.events.contains { $0.kind == .stepIntended } } else { false }
            }
            if isIntent { intended.withLock { $0 = $0 ?? simulation.trace.turns } }
            return results
        }
    }

    enum Privilege: CaseIterable { case atMostOnce, approved }

    @WorkflowBuilder private static func workflows(
        _ privilege: Privilege, timeout: Duration, _ world: World, _ process: SimulatedProcess
    ) -> [RegisteredWorkflow] {
        Flow { input, context in
            let policy = StepPolicy(attemptTimeout: timeout, grace: .zero)
            switch privilege {
            case .atMostOnce:
                try await context.act(
                    "charge", input: input, .atMostOnce(inDoubt: .askPerson), policy: policy, irreversible: "money is gone"
                ) { _, _ in world.log.add("\(process.name) at turn \(world.simulation.trace.turns)") }
            case .approved:
                try await context.act(
                    "charge", input: input, .idempotent(retention: .forever), policy: policy,
                    approval: .required(by: .anyone, within: .days(1)), irreversible: "money is gone"
                ) { _, _ in world.log.add("\(process.name) at turn \(world.simulation.trace.turns)") }
            }
            return input
        }
    }

    /// A run of which one node dispatches a step, and which the other one may take over.
    private struct Life {
        var intendedAt: Int?
        /// Which node has charged, in which turn.
        var charges: [String] = []
        var kinds: [EventKind] = []
        var nodeEnded = false
    }

    /// - Parameters:
    ///   - turn: Before this turn the first node stops for so long.
    ///   - hasHeir: Whether there is another node.
    private static func live(
        _ privilege: Privilege, seed: UInt64, stopsAt turn: Int?, for time: Duration = .seconds(60),
        timeout: Duration = .seconds(10), hasHeir: Bool = true
    ) async throws -> Life {
        let simulation = Simulation(seed: seed), world = World(simulation, ownership: .leases(.seconds(6)))
        let gate = Gate(simulation), first = simulation.process("first", gate: gate), second = simulation.process("second")
        simulation.onTurn { _ in if let turn, simulation.trace.turns == turn { first.freeze(for: time) } }
        return try await simulation.run {
            let engine = try await world.open(first) { Self.workflows(privilege, timeout: timeout, world, first) }
            var heir = engine
            if hasHeir {
                heir = try await world.open(second) { Self.workflows(privilege, timeout: timeout, world, second) }
            }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            let client = heir.client
            if privilege == .approved {
                try await simulation.sleep(for: .seconds(1))
                let approval = try #require(try await client.pendingApprovals(of: run.id).first)
                try await client.decide(approval, approve: true, by: Principal(.human, "bob"))
            }
            // Both have taken their time by then, also the one that stood still.
            try await simulation.sleep(for: .seconds(180))
            var life = Life(intendedAt: gate.intendedAt, charges: world.log.all, nodeEnded: first.hasEnded)
            life.kinds = try await client.history(of: run.id).map(\.kind)
            if life.kinds.contains(.stepInDoubt) {
                try await client.resolve(run.id, step: "charge", .didNotHappen, by: Principal(.human, "bob"))
            }
            _ = try await heir.result(of: run.id)
            life.charges = world.log.all
            #expect(try await client.store.audit() == [])
            return life
        }
    }

    /// The turns between the commit of the intent and the effect, in which the node may stop before the effect.
    private static func window(_ privilege: Privilege, seed: UInt64) async throws -> ClosedRange<Int> {
        let calm = try await live(privilege, seed: seed, stopsAt: nil)
        #expect(calm.charges.count == 1 && calm.charges[0].hasPrefix("first"))
        let effect = try #require(calm.charges[0].split(separator: " ").last.flatMap { Int($0) })
        return try #require(calm.intendedAt) + 1...effect
    }

    // Promise: 14
    @Test(arguments: Privilege.allCases, [1, 2, 3] as [UInt64])
    func `a node that stood still until others had its run does not begin what must not be done twice`(
        privilege: Privilege, seed: UInt64
    ) async throws {
        let window = try await Self.window(privilege, seed: seed)
        #expect(window.count > 2)
        for turn in window {
            let life = try await Self.live(privilege, seed: seed, stopsAt: turn)
            #expect(life.charges.count == 1 && life.charges[0].hasPrefix("second"), "stopped at turn \(turn): \(life.charges)")
            #expect(life.kinds.contains(.stepInDoubt) == (privilege == .atMostOnce))
            #expect(life.kinds.contains(.runResumed))
            #expect(life.nodeEnded)
        }
    }

    @Test(arguments: [Duration.seconds(10), .seconds(60)])
    func `a node that stood still and kept its runs begins when it knows that it has`(timeout: Duration) async throws {
        let window = try await Self.window(.atMostOnce, seed: 1)
        for turn in window {
            let life = try await Self.live(
                .atMostOnce, seed: 1, stopsAt: turn, for: .seconds(20), timeout: timeout, hasHeir: false)
            #expect(life.charges.count == 1 && life.charges[0].hasPrefix("first"), "stopped at turn \(turn): \(life.charges)")
            #expect(!life.kinds.contains(.stepInDoubt))
            // An intent whose time is up is not used.
            #expect(life.kinds.count { $0 == .stepIntended } == (timeout > .seconds(20) ? 1 : 2))
            #expect(!life.nodeEnded)
        }
    }
}
