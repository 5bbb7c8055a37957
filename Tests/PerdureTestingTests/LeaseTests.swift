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
        private let intended = Mutex<(turn: Int, process: String)?>(nil)
        /// So many turns had been taken by then, and by whom it was committed.
        var intent: (turn: Int, process: String)? { intended.withLock { $0 } }

        init(_ simulation: Simulation) { self.simulation = simulation }

        func willCall(_ call: StaticString, by process: SimulatedProcess) {}

        func commit(
            _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
        ) async throws(StoreError) -> [CommitResult] {
            let results = try await base.commit(items)
            let isIntent = items.contains { item in
                if case .advance(let advance) = item { advance.events.contains { $0.kind == .stepIntended } } else { false }
            }
            if isIntent { intended.withLock { $0 = $0 ?? (simulation.trace.turns, process.name) } }
            return results
        }
    }

    enum Privilege: CaseIterable { case atMostOnce, approved, idempotent }

    @WorkflowBuilder private static func workflows(
        _ privilege: Privilege, timeout: Duration, _ world: World, _ process: SimulatedProcess
    ) -> [RegisteredWorkflow] {
        Flow { input, context in
            var policy = StepPolicy(attemptTimeout: timeout, grace: .zero)
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
            case .idempotent:
                // Any other is begun in the same way; of this one it is seen when.
                policy.intent = .always
                try await context.act(
                    "charge", input: input, .idempotent(retention: .forever), policy: policy, irreversible: "money is gone"
                ) { _, _ in world.log.add("\(process.name) at turn \(world.simulation.trace.turns)") }
            }
            return input
        }
    }

    /// A run of which one node dispatches a step, and which the other one may take over.
    private struct Life {
        var intendedAt: Int?
        /// Who dispatches it undisturbed.
        var dispatcher: String?
        /// Which node has charged, in which turn.
        var charges: [String] = []
        var kinds: [EventKind] = []
        var nodeEnded = false
    }

    /// - Parameters:
    ///   - name: The node that stops, before this turn and for so long.
    ///   - hasHeir: Whether there is another node.
    private static func live(
        _ privilege: Privilege, seed: UInt64, stopping name: String? = nil, at turn: Int = 0, for time: Duration = .seconds(60),
        timeout: Duration = .seconds(10), hasHeir: Bool = true
    ) async throws -> Life {
        let simulation = Simulation(seed: seed), world = World(simulation, ownership: .leases(.seconds(6)))
        let gate = Gate(simulation), first = simulation.process("first", gate: gate)
        let second = simulation.process("second", gate: gate), stopped = name == "second" ? second : first
        simulation.onTurn { _ in if name != nil, simulation.trace.turns == turn { stopped.freeze(for: time) } }
        return try await simulation.run {
            let engine = try await world.open(first) { Self.workflows(privilege, timeout: timeout, world, first) }
            var heir = engine
            if hasHeir {
                heir = try await world.open(second) { Self.workflows(privilege, timeout: timeout, world, second) }
            }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            if privilege == .approved {
                try await simulation.sleep(for: .seconds(1))
                let approval = try #require(try await heir.client.pendingApprovals(of: run.id).first)
                try await heir.client.decide(approval, approve: true, by: Principal(.human, "bob"))
            }
            // Both have taken their time by then, also the one that stood still.
            try await simulation.sleep(for: .seconds(180))
            if name == "second" { heir = engine }
            let client = heir.client
            var life = Life(intendedAt: gate.intent?.turn, dispatcher: gate.intent?.process, nodeEnded: stopped.hasEnded)
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
    private static func window(
        _ privilege: Privilege, seed: UInt64, hasHeir: Bool = true
    ) async throws -> (turns: ClosedRange<Int>, node: String) {
        let calm = try await live(privilege, seed: seed, hasHeir: hasHeir), node = try #require(calm.dispatcher)
        #expect(calm.charges.count == 1 && calm.charges[0].hasPrefix(node))
        let effect = try #require(calm.charges[0].split(separator: " ").last.flatMap { Int($0) })
        return (try #require(calm.intendedAt) + 1...effect, node)
    }

    // Promise: 14
    @Test(arguments: Privilege.allCases, [1, 2, 3] as [UInt64])
    func `a node that stood still until others had its run does not begin what must not be done twice`(
        privilege: Privilege, seed: UInt64
    ) async throws {
        let (turns, node) = try await Self.window(privilege, seed: seed), other = node == "first" ? "second" : "first"
        #expect(turns.count > 2)
        for turn in turns {
            let life = try await Self.live(privilege, seed: seed, stopping: node, at: turn)
            #expect(life.charges.count == 1 && life.charges[0].hasPrefix(other), "stopped at turn \(turn): \(life.charges)")
            #expect(life.kinds.contains(.stepInDoubt) == (privilege == .atMostOnce))
            #expect(life.kinds.contains(.runResumed))
            #expect(life.nodeEnded)
        }
    }

    @Test(arguments: [Duration.seconds(10), .seconds(60)])
    func `a node that stood still and kept its runs begins when it knows that it has`(timeout: Duration) async throws {
        let (turns, node) = try await Self.window(.atMostOnce, seed: 1, hasHeir: false)
        for turn in turns {
            let life = try await Self.live(
                .atMostOnce, seed: 1, stopping: node, at: turn, for: .seconds(20), timeout: timeout, hasHeir: false)
            #expect(life.charges.count == 1 && life.charges[0].hasPrefix(node), "stopped at turn \(turn): \(life.charges)")
            #expect(!life.kinds.contains(.stepInDoubt))
            // An intent whose time is up is not used.
            #expect(life.kinds.count { $0 == .stepIntended } == (timeout > .seconds(20) ? 1 : 2))
            #expect(!life.nodeEnded)
        }
    }
}
