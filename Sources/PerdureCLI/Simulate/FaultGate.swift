import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Synchronization

/// Sees every call of the store and every body of a simulation, has go wrong what the plan says, and writes down what happened.
final class FaultGate: Sendable {
    /// One commit that a run asks for.
    private struct Asked: Hashable {
        let process: String
        let run: Int64
        let seq: Int64
    }

    private struct State {
        var pending: [Fault]
        /// What machines will go through because of commits that were asked for.
        var foreseen: [Asked: [String]] = [:]
        var commits = 0
        var bodies = 0
        var calls = 0
        var lastCalls: [String] = []
        var seen: [String: Int] = [:]
        var table = FaultTable()
        var crashes = 0
        var freezes = 0
        var lines: [String] = []
        /// What becomes of calls for circuits.
        var luck: SeededGenerator
    }

    private static let rememberedCalls = 8

    private let simulation: Simulation
    private let tells: Bool
    private let start: Timestamp
    /// Whose processes are no engines: nothing but the store can fail there.
    private let people: String
    /// Of a hundred calls for circuits so many do not reach the store.
    private let unheard: Int
    private let state: Mutex<State>

    init(_ plan: SimulationPlan, _ simulation: Simulation, people: String, tells: Bool) {
        self.simulation = simulation
        self.people = people
        self.tells = tells
        start = simulation.now
        unheard = plan.resource?.unheard ?? 0
        state = Mutex(State(pending: plan.faults, luck: SeededGenerator(seed: plan.seed ^ 0xC1)))
    }

    var table: FaultTable { state.withLock { $0.table } }
    var crashes: Int { state.withLock { $0.crashes } }
    var freezes: Int { state.withLock { $0.freezes } }
    var lines: [String] { state.withLock { $0.lines } }
    /// What the store was called for last.
    var lastCalls: String { state.withLock { $0.lastCalls.joined(separator: ", ") } }

    func tell(_ words: @autoclosure () -> String) {
        guard tells else { return }
        let line = "\(Double(simulation.now.duration(since: start).microseconds) / 1_000) ms: \(words())"
        state.withLock { $0.lines.append(line) }
    }

    // MARK: Processes

    func crash(_ process: SimulatedProcess, _ why: String) {
        guard process.isAlive else { return }
        state.withLock { $0.crashes += 1 }
        tell("\(process.name) DIES (\(why))")
        process.crash()
    }

    private func freeze(_ process: SimulatedProcess, _ fault: Fault, _ why: String) async {
        stop(process, fault, why)
        await process.turn()
    }

    private func stop(_ process: SimulatedProcess, _ fault: Fault, _ why: String) {
        state.withLock { $0.freezes += 1 }
        tell("\(process.name) STANDS STILL for \(fault.milliseconds) ms (\(why))")
        process.freeze(for: .milliseconds(fault.milliseconds))
    }

    private func jump(_ process: SimulatedProcess, _ fault: Fault) {
        tell("the clock of \(process.name) is now \(fault.milliseconds) ms ahead")
        process.setClock(ahead: .milliseconds(fault.milliseconds))
    }

    private func take(
        _ process: SimulatedProcess, _ state: inout State, where isDue: (Fault.Place, State) -> Bool
    ) -> Fault? {
        let index = state.pending.firstIndex { fault in
            (process.name != people || fault.kind.isStores) && isDue(fault.place, state)
        }
        return index.map { state.pending.remove(at: $0) }
    }
}

// MARK: - Commits

extension FaultGate: StoreGate {
    func willCall(_ call: StaticString, by process: SimulatedProcess) {
        let fault = state.withLock { state in
            state.calls += 1
            if state.lastCalls.count == Self.rememberedCalls { state.lastCalls.removeFirst() }
            state.lastCalls.append("\(call) by \(process.name)")
            return take(process, &state) { place, state in
                if case .call(let number) = place { number <= state.calls } else { false }
            }
        }
        guard let fault else { return }
        let why = "\(call) of the store"
        switch fault.kind {
        case .crashBefore: crash(process, why)
        case .freezeAfter: stop(process, fault, why)
        default: jump(process, fault)
        }
    }

    func reach(_ call: StaticString, by process: SimulatedProcess) async throws(StoreError) {
        guard unheard > 0, ["circuits", "setCircuit"].contains(call.description) else { return }
        let (isUnheard, time) = state.withLock { state in
            (Int.random(in: 0..<100, using: &state.luck) < unheard, Int.random(in: 0...3_000, using: &state.luck))
        }
        guard isUnheard else { return }
        try? await process.sleep(for: .milliseconds(time))
        throw .unavailable("the simulation says so")
    }

    func commit(
        _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
    ) async throws(StoreError) -> [CommitResult] {
        let (rows, fault) = state.withLock { state -> ([String], Fault?) in
            state.commits += 1
            let rows = items.flatMap { $0.faultRows + foreseen($0, process, state) }
            for row in rows {
                state.seen[row, default: 0] += 1
                state.table.saw(row)
            }
            let fault = take(process, &state) { place, state in
                switch place {
                case .commit(let number): number <= state.commits
                case .event(let row, let number): rows.contains(row) && number <= state.seen[row, default: 0]
                case .body, .call: false
                }
            }
            if let fault { for row in Set(rows) { state.table.note(fault.kind, at: row) } }
            return (rows, fault)
        }
        guard let fault else { return try await pass(items, base, process) }
        tell("\(process.name) \(fault.kind.rawValue) at: \(rows.joined(separator: ", "))")
        return try await spoil(items, base, process, fault)
    }

    private func foreseen(_ item: CommitItem, _ process: SimulatedProcess, _ state: State) -> [String] {
        guard case .advance(let advance) = item, let first = advance.events.first else { return [] }
        return state.foreseen[Asked(process: process.name, run: advance.run, seq: first.seq)] ?? []
    }

    private func spoil(
        _ items: [CommitItem], _ base: any Store, _ process: SimulatedProcess, _ fault: Fault
    ) async throws(StoreError) -> [CommitResult] {
        let pause = Duration.milliseconds(fault.milliseconds)
        switch fault.kind {
        case .refused: throw .unavailable("the simulation says so")
        case .unheard: throw .outcomeUnknown("the request was lost")
        case .unanswered:
            _ = try await pass(items, base, process)
            throw .outcomeUnknown("the answer was lost")
        case .torn:
            _ = try await pass(Array(items.prefix(items.count / 2)), base, process)
            crash(process, "in the middle of a commit")
        case .crashBefore: crash(process, "before a commit")
        case .crashAfter:
            _ = try await pass(items, base, process)
            crash(process, "after a commit")
        case .slow:
            try? await process.sleep(for: pause)
            return try await pass(items, base, process)
        case .slowAnswer:
            let results = try await pass(items, base, process)
            try? await process.sleep(for: pause)
            return results
        case .freezeBefore:
            await freeze(process, fault, "before a commit")
            return try await pass(items, base, process)
        case .freezeAfter:
            let results = try await pass(items, base, process)
            await freeze(process, fault, "after a commit")
            return results
        case .clockJump:
            jump(process, fault)
            return try await pass(items, base, process)
        }
        throw .closed
    }

    private func pass(
        _ items: [CommitItem], _ base: any Store, _ process: SimulatedProcess
    ) async throws(StoreError) -> [CommitResult] {
        guard process.isAlive else { throw .closed }
        guard !items.isEmpty else { return [] }
        let results = try await base.commit(items)
        if tells {
            for (item, result) in zip(items, results) { tell("\(process.name) commits \(item.told): \(result.told)") }
        }
        return results
    }
}

// MARK: - Bodies

/// The bodies of one process.
struct FaultyBodies: BodyWatch {
    let gate: FaultGate
    let process: SimulatedProcess

    func attempt(_ attempt: Attempt, of run: RunID, _ body: () async -> AttemptOutcome) async -> AttemptOutcome {
        let row = attempt.body == .undo ? "undo" : "attempt"
        let outcome = await gate.around([row, Self.begin(attempt, .running)], "\(run) \(attempt.subject)", process, body)
        return outcome ?? .failed(AttemptFailure(CancellationError()))
    }

    func probe(_ attempt: Attempt, of run: RunID, _ body: () async -> ProbeOutcome) async -> ProbeOutcome {
        await gate.around(["probe", Self.begin(attempt, .probing)], "\(run) \(attempt.subject)", process, body)
            ?? .unknown("dead")
    }

    private static func begin(_ attempt: Attempt, _ phase: StepPhase) -> String {
        StepTransition(attempt.begunFrom, phase).row
    }

    func usesKey(_ attempt: Attempt, of run: RunID) {}

    func willCommit(_ advance: RunAdvance, _ transitions: () -> MachineTransitions) {
        let transitions = transitions()
        gate.foresee(transitions.steps.map(\.row).sorted() + transitions.children.map(\.row).sorted(), of: advance, by: process)
    }
}

extension FaultGate {
    fileprivate func foresee(_ rows: [String], of advance: RunAdvance, by process: SimulatedProcess) {
        guard let first = advance.events.first else { return }
        state.withLock { $0.foreseen[Asked(process: process.name, run: advance.run, seq: first.seq)] = rows }
    }

    /// - Returns: nil if the process is dead.
    fileprivate func around<Outcome>(
        _ rows: [String], _ what: String, _ process: SimulatedProcess, _ body: () async -> Outcome
    ) async -> Outcome? {
        let fault = state.withLock { state -> Fault? in
            state.bodies += 1
            for row in rows { state.table.saw(row) }
            let fault = take(process, &state) { place, state in
                if case .body(let number) = place { number <= state.bodies } else { false }
            }
            if let fault { for row in rows { state.table.note(fault.kind, at: row) } }
            return fault
        }
        let row = rows[0]
        tell("\(process.name) begins \(row) of \(what)")
        switch fault?.kind {
        case .crashBefore:
            crash(process, "before the \(row) of \(what)")
            return nil
        case .freezeBefore: if let fault { await freeze(process, fault, "before the \(row) of \(what)") }
        case .clockJump: if let fault { jump(process, fault) }
        default: break
        }
        guard process.isAlive else { return nil }
        let outcome = await body()
        guard process.isAlive else { return nil }
        tell("\(process.name) ends \(row) of \(what): \(outcome)")
        switch fault?.kind {
        case .crashAfter:
            crash(process, "after the \(row) of \(what)")
            return nil
        case .freezeAfter: if let fault { await freeze(process, fault, "after the \(row) of \(what)") }
        default: break
        }
        return outcome
    }
}

// MARK: - Words

extension CommitItem {
    /// The rows of the table that it counts for.
    fileprivate var faultRows: [String] {
        switch self {
        case .create: [EventKind.runStarted.rawValue]
        case .advance(let advance):
            advance.events.map(\.kind.rawValue) + advance.children.map { _ in EventKind.runStarted.rawValue }
                + (advance.events.isEmpty ? ["rest"] : [])
        case .deliver: ["message"]
        case .schedule(let change): ["schedule"] + change.starts.map { _ in EventKind.runStarted.rawValue }
        case .beat: []
        }
    }

    fileprivate var told: String {
        switch self {
        case .create(let run): "the run \(run.record.id) \(run.record.key ?? "")"
        case .advance(let advance):
            "run \(advance.run), epoch \(advance.epoch): "
                + advance.events.map { "\($0.seq) \($0.kind.rawValue) \($0.subject)" }.joined(separator: ", ")
                + (advance.transition.map { " (\($0.state.rawValue))" } ?? "")
        case .deliver(let delivery): "a message: \(delivery.kind) \(delivery.name)"
        case .beat: "a heartbeat"
        case .schedule(let change): "the schedule \(change.key.id), \(change.starts.count) starts"
        }
    }
}

extension CommitResult {
    fileprivate var told: String {
        switch self {
        case .advanced: "done"
        case .refused(let refusal): "refused, \(refusal)"
        case .created: "created"
        case .keyTaken: "the key is taken"
        case .delivered: "delivered"
        case .scheduled: "scheduled"
        }
    }
}
