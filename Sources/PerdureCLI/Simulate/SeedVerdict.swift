import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting

/// What one seed came to.
struct SeedVerdict: Sendable {
    let plan: SimulationPlan
    var violations: [String] = []
    var counts = SimulationCounts()
    var table = FaultTable()
    /// What was done and what came of it: the same for the same plan.
    var digest = ""
    /// What happened, if it was to be told.
    var story: [String] = []

    /// Lets it happen.
    static func of(_ plan: SimulationPlan, tells: Bool = false) async throws -> SeedVerdict {
        let world = SimulatedWorld(plan, tells: tells)
        var verdict = SeedVerdict(plan: plan)
        do {
            try await world.simulation.run { try await world.live() }
        } catch let failure as SimulationFailure {
            verdict.violations.append("the simulation: \(failure)")
        }
        let auditor = try await world.auditor(),
            shapes = Dictionary(uniqueKeysWithValues: plan.orders.map { ($0.number, $0.shape) })
        var report = SwarmReport()
        try await SwarmAudit(
            auditor, world.peer.ledger.entries, runs: plan.orders.count,
            // One that was ended by force has no outcome that its shape could tell.
            shape: { shapes[$0] ?? .sequence([]) }, world.signals
        ).look(&report)
        verdict.violations += world.violations + report.findings
        verdict.counts = SimulationCounts(
            runs: report.runs, events: report.events, crashes: world.gate.crashes, freezes: world.gate.freezes,
            decisions: world.decisions, stops: world.stops)
        verdict.table = world.gate.table
        verdict.digest = try await digest(world.simulation.trace, auditor)
        verdict.story = world.gate.lines
        return verdict
    }

    private static func digest(_ trace: Trace, _ auditor: Client) async throws -> String {
        var words = "\(trace)"
        for record in try await auditor.guarded({ try await auditor.store.runs(.init(limit: 1_000)) }) {
            let events = try await auditor.history(of: record.id)
            words +=
                " \(record.id):" + events.map { "\($0.kind.rawValue) \($0.subject) \($0.at.microseconds)" }.joined(separator: ",")
        }
        return words
    }
}

/// How much happened.
struct SimulationCounts: Sendable {
    var runs = 0
    var events = 0
    var crashes = 0
    var freezes = 0
    /// What people have said of steps that were in doubt or stuck.
    var decisions = 0
    /// The times that a node was stopped in good order.
    var stops = 0

    static func += (total: inout Self, other: Self) {
        total.runs += other.runs
        total.events += other.events
        total.crashes += other.crashes
        total.freezes += other.freezes
        total.decisions += other.decisions
        total.stops += other.stops
    }
}

/// Makes a plan smaller for as long as it still goes wrong.
struct Shrinker {
    /// How many plans are tried.
    var left = 300

    mutating func shrink(_ plan: SimulationPlan) async throws -> SimulationPlan {
        var best = plan, candidates = Self.candidates(plan)
        // Whatever did not help before seldom helps after the next thing did: it goes on from there, round and round.
        var next = 0, inVain = 0
        while left > 0, inVain < candidates.count {
            left -= 1
            let candidate = candidates[next % candidates.count]
            if try await SeedVerdict.of(candidate).violations.isEmpty {
                next += 1
                inVain += 1
            } else {
                (best, candidates, inVain) = (candidate, Self.candidates(candidate), 0)
            }
        }
        return best
    }

    /// Plans with one thing less.
    static func candidates(_ plan: SimulationPlan) -> [SimulationPlan] {
        var all: [SimulationPlan] = []
        func add(_ change: (inout SimulationPlan) -> Void) {
            var candidate = plan
            change(&candidate)
            all.append(candidate)
        }
        for index in plan.orders.indices where plan.orders.count > 1 { add { $0.orders.remove(at: index) } }
        let half = plan.faults.count / 2
        if half > 1 {
            add { $0.faults.removeFirst(half) }
            add { $0.faults.removeLast(half) }
        }
        for index in plan.faults.indices { add { $0.faults.remove(at: index) } }
        if plan.nodes.count > 1, plan.lease != nil { for index in plan.nodes.indices { add { $0.nodes.remove(at: index) } } }
        if plan.queue != nil {
            add { plan in
                plan.queue = nil
                for index in plan.orders.indices { plan.orders[index].place = nil }
            }
        }
        if plan.resource != nil { add { $0.resource = nil } }
        if plan.misfortune > 0 { add { $0.misfortune = 0 } }
        if plan.lies > 0 { add { $0.lies = 0 } }
        for (index, node) in plan.nodes.enumerated() where !node.stops.isEmpty { add { $0.nodes[index].stops = [] } }
        if plan.nodes.contains(where: { $0.skew != 0 }) { add { for index in $0.nodes.indices { $0.nodes[index].skew = 0 } } }
        for (index, order) in plan.orders.enumerated() {
            if order.cancelledAfter != nil { add { $0.orders[index].cancelledAfter = nil } }
            if order.terminatedAfter != nil { add { $0.orders[index].terminatedAfter = nil } }
            if order.deliveries > 1 { add { $0.orders[index].deliveries = 1 } }
            for shape in order.shape.smaller {
                add {
                    $0.orders[index].shape = shape
                    $0.orders[index].signals = Array(order.signals.prefix(shape.signals))
                }
            }
        }
        return all
    }
}

extension Shape {
    /// Shapes with a little less in them.
    var smaller: [Shape] {
        func less(_ parts: [Shape], _ make: ([Shape]) -> Shape) -> [Shape] {
            let without = parts.indices.map { index in make(parts.enumerated().filter { $0.offset != index }.map(\.element)) }
            let within = parts.indices.flatMap { index in
                parts[index].smaller.map { part in
                    var changed = parts
                    changed[index] = part
                    return make(changed)
                }
            }
            return (parts.count > 1 ? without : []) + within
        }
        return switch self {
        case .keyed, .once, .look, .refused, .stubborn, .approved, .shared, .pause, .signal, .failure: []
        case .sequence(let parts): (parts.count == 1 ? parts : []) + less(parts) { .sequence($0) }
        case .together(let number, let parts): parts + less(parts) { .together(number, $0) }
        case .race(let number, let parts): parts + less(parts) { .race(number, $0) }
        case .loop(let number, let times, let part):
            [part] + (times > 1 ? [.loop(number, times: times - 1, part)] : [])
                + part.smaller.map { .loop(number, times: times, $0) }
        case .scope(let number, let part): [part] + part.smaller.map { .scope(number, $0) }
        case .timeout(let number, let milliseconds, let part):
            [part] + part.smaller.map { .timeout(number, milliseconds: milliseconds, $0) }
        case .child(let number, let part, let isLeft): [part] + part.smaller.map { .child(number, $0, isLeft: isLeft) }
        case .detached(let number, let part): [part] + part.smaller.map { .detached(number, $0) }
        }
    }
}
