import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization

/// Sees every commit and every body of one trial, counts them, and interrupts at the one that is meant.
final class TrialWatch: Sendable {
    /// What to do, and where. Commits and bodies are counted over all lives of the process, and over all runs.
    struct Plan: Sendable {
        var interruption: Interruption
        var number: Int
        /// The commit after which the run is cancelled, before anything else.
        var cancelsAfter: Int?
    }

    /// Which work a body does: the same for each of its attempts.
    struct Work: Hashable, Sendable {
        let run: RunID
        let subject: String
        let isUndo: Bool
        /// Work that was done, undone and is done anew has another key.
        let key: String
    }

    /// What is known of one piece of work.
    struct Knowledge: Sendable {
        var begun = 0
        /// What the last attempt that came to an end has come to.
        var outcome: AttemptOutcome?
        var effectsBefore: [String: Int] = [:]

        var mayHaveHappened: Bool {
            switch outcome {
            case nil: true
            case .failed(let failure)?: !failure.isDefinite
            case .succeeded?, .unrecordable?: false
            }
        }
    }

    struct State {
        var commits = 0
        var bodies = 0
        var checkpoints: [ResumabilityReport.Checkpoint] = []
        var isDone = false
        /// What is to be done in the next life of the process.
        var sequel: Interruption?
        var deaths = 0
        var works: [Work: Knowledge] = [:]
        var settled = SettledWork()
        /// When the next attempt is to be made, by run and subject.
        var nextAttempts: [String: Timestamp] = [:]
        var usedKeys: Set<String> = []
        var undone: Set<String> = []
        var violations: [String] = []
        var repeated = 0
        var wantsCancel = false
        var standsStill = false
        /// The process that has stood still. It goes on with what it was about to do before it can know that the run is another's.
        var sleeper: String?
    }

    let plan: Plan?
    private let stage: TestStage
    private let standstill: Duration
    private let commitTime: Duration
    private let effects: @Sendable () -> [String: Int]
    private let state = Mutex(State())

    /// - Parameter standstill: How long a process stands still that loses its lease.
    init(
        _ plan: Plan?, _ stage: TestStage, standstill: Duration, commitTime: Duration = .zero,
        effects: @escaping @Sendable () -> [String: Int]
    ) {
        self.plan = plan
        self.commitTime = commitTime
        self.stage = stage
        self.standstill = standstill
        self.effects = effects
    }

    var now: State { state.withLock { $0 } }

    /// Whether the run is to be cancelled now.
    func takeCancel() -> Bool {
        state.withLock { state in
            defer { state.wantsCancel = false }
            return state.wantsCancel
        }
    }

    /// Whether a process stands still, so that another one is needed.
    func takeStandstill() -> Bool {
        state.withLock { state in
            defer { state.standsStill = false }
            return state.standsStill
        }
    }

    private func kill(_ process: SimulatedProcess) {
        state.withLock { $0.deaths += 1 }
        process.crash()
        stage.pulse.beat()
    }

    /// Whether the plan is for this very commit or body.
    private func isDue(_ place: Interruption.Place, _ number: Int, _ state: inout State) -> Interruption? {
        guard let plan, !state.isDone, plan.number == number else { return nil }
        let fits = plan.interruption.place == place || (place == .commit && plan.interruption.place == .unwinding)
        guard fits else { return nil }
        state.isDone = true
        return plan.interruption
    }

    func violated(_ rule: String) { state.withLock { $0.violations.append(rule) } }
}

// MARK: - Commits

extension TrialWatch: StoreGate {
    func willCall(_ call: StaticString, by process: SimulatedProcess) {
        let dies = state.withLock { state in
            guard state.sequel == .crashDuringReplay, ["events", "beginnings"].contains("\(call)") else { return false }
            state.sequel = nil
            return true
        }
        if dies { kill(process) }
    }

    func commit(
        _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
    ) async throws(StoreError) -> [CommitResult] {
        guard items.contains(where: \.isCheckpoint) else { return try await pass(items, base) }
        if commitTime > .zero {
            try? await process.sleep(for: commitTime)
            guard process.isAlive else { throw .closed }
        }
        let (interruption, dies, cancels) = state.withLock { state in
            state.commits += 1
            state.checkpoints.append(.init(number: state.commits, isCommit: true, what: items.summary))
            let dies = state.sequel == .crashTwice
            if dies { state.sequel = nil }
            return (isDue(.commit, state.commits, &state), dies, plan?.cancelsAfter == state.commits)
        }
        if dies {
            kill(process)
            throw .closed
        }
        guard let interruption else {
            let results = try await pass(items, base)
            if cancels {
                state.withLock { $0.wantsCancel = true }
                stage.pulse.beat()
            }
            return results
        }
        return try await interrupt(interruption, items, base, process)
    }

    private func interrupt(
        _ interruption: Interruption, _ items: [CommitItem], _ base: any Store, _ process: SimulatedProcess
    ) async throws(StoreError) -> [CommitResult] {
        switch interruption {
        case .crashBeforeCommit, .crashBeforeUndo: break
        case .crashTwice: state.withLock { $0.sequel = .crashTwice }
        case .tornCommit: _ = try await pass(Array(items.prefix(items.count / 2)), base)
        case .crashDuringReplay:
            _ = try await pass(items, base)
            state.withLock { $0.sequel = .crashDuringReplay }
        case .lostAcknowledgement:
            _ = try await pass(items, base)
            throw .outcomeUnknown("the answer was lost")
        case .lostLease:
            state.withLock { ($0.standsStill, $0.sleeper) = (true, process.name) }
            process.freeze(for: standstill)
            stage.pulse.beat()
            await process.turn()
            return try await pass(items, base)
        default: _ = try await pass(items, base)
        }
        kill(process)
        throw .closed
    }

    private func pass(_ items: [CommitItem], _ base: any Store) async throws(StoreError) -> [CommitResult] {
        guard !items.isEmpty else { return [] }
        stage.learnFamilies(items)
        let results = try await base.commit(items)
        for (item, result) in zip(items, results) {
            guard case .advance(let advance) = item, case .advanced = result else { continue }
            try await note(advance, base)
        }
        try await stage.note(items, results, base)
        return results
    }

    /// What is on disk from now on.
    private func note(_ advance: RunAdvance, _ base: any Store) async throws(StoreError) {
        guard let record = try await base.run(number: advance.run) else { return }
        state.withLock { state in
            for event in advance.events {
                state.settled.note(event.kind, event.subject, in: record.id)
                if event.kind == .undoStarted { state.undone.insert(event.subject) }
                let work = "\(record.id) \(event.subject)"
                if event.kind.rawValue.contains(".attempt_failed") {
                    let next = (try? event.attributes.object())?["next_at"]?.integerValue
                    state.nextAttempts[work] = next.map(Timestamp.init(microseconds:))
                } else if !event.subject.isEmpty {
                    state.nextAttempts[work] = nil
                }
            }
        }
    }
}

// MARK: - Bodies

/// The bodies of one process of a trial.
struct TrialBodies: BodyWatch {
    let watch: TrialWatch
    let process: SimulatedProcess

    func attempt(_ attempt: Attempt, of run: RunID, _ body: () async -> AttemptOutcome) async -> AttemptOutcome {
        let interruption = watch.begin(attempt, of: run, in: process)
        if interruption == .crashBeforeDispatch {
            watch.die(process)
            return .failed(AttemptFailure(CancellationError()))
        }
        let outcome: AttemptOutcome
        if let scripted = watch.scripted(attempt, of: run) { outcome = scripted } else { outcome = await body() }
        if process.isAlive { watch.end(attempt, of: run, outcome) }
        if interruption == .crashAfterEffect, process.isAlive { watch.die(process) }
        return outcome
    }

    func probe(_ attempt: Attempt, of run: RunID, _ body: () async -> ProbeOutcome) async -> ProbeOutcome { await body() }
    func usesKey(_ attempt: Attempt, of run: RunID) { watch.noteKey(attempt.subject) }
}

extension TrialWatch {
    fileprivate func begin(_ attempt: Attempt, of run: RunID, in process: SimulatedProcess) -> Interruption? {
        let effects = effects(), isUndo = attempt.body == .undo
        return state.withLock { state in
            state.bodies += 1
            let what = "\(isUndo ? "undo of " : "")\(attempt.subject)"
            state.checkpoints.append(.init(number: state.bodies, isCommit: false, what: what))
            let work = Work(run: run, subject: attempt.subject, isUndo: isUndo, key: attempt.idempotencyKey)
            if state.settled.contains(attempt.subject, isUndo: isUndo, in: run), state.sleeper != process.name {
                state.violations.append("'\(what)' was begun again although its outcome was on disk.")
            }
            if let next = state.nextAttempts["\(run) \(attempt.subject)"], stage.simulation.now < next {
                state.violations.append(
                    "'\(what)' was tried again at \(stage.simulation.now), before its time, which is \(next).")
            }
            var known = state.works[work] ?? Knowledge(effectsBefore: effects)
            if known.begun > 0, attempt.isRepeated { state.repeated += 1 }
            known.begun += 1
            // What an earlier attempt failed with says nothing about this one.
            if case .failed? = known.outcome { known.outcome = nil }
            state.works[work] = known
            return isDue(.dispatch, state.bodies, &state)
        }
    }

    fileprivate func end(_ attempt: Attempt, of run: RunID, _ outcome: AttemptOutcome) {
        let work = Work(run: run, subject: attempt.subject, isUndo: attempt.body == .undo, key: attempt.idempotencyKey)
        state.withLock { $0.works[work]?.outcome = outcome }
    }

    fileprivate func die(_ process: SimulatedProcess) { kill(process) }
    fileprivate func scripted(_ attempt: Attempt, of run: RunID) -> AttemptOutcome? {
        stage.scriptedOutcome(of: attempt, in: run)
    }
    fileprivate func noteKey(_ subject: String) { state.withLock { _ = $0.usedKeys.insert(subject) } }

    /// What is true of a step in doubt: what a person would find out who looks at the other side.
    func truth(of subject: String, isUndo: Bool, in run: RunID) -> StepResolution {
        let effects = effects()
        let known = state.withLock { state in
            state.works.filter { $0.key.run == run && $0.key.subject == subject && $0.key.isUndo == isUndo }.map(\.value)
        }
        for knowledge in known {
            if case .succeeded(let output)? = knowledge.outcome { return .happened(result: Data(output)) }
        }
        // It was cut off in its middle, or does not know: what stands at the other side tells.
        let changed = known.contains { $0.begun > 0 && $0.mayHaveHappened && $0.effectsBefore != effects }
        return changed ? .happened(result: nil) : .didNotHappen
    }
}

// MARK: - Parts

extension CommitItem {
    /// Heartbeats are no checkpoints: nothing depends on them.
    var isCheckpoint: Bool { if case .beat = self { false } else { true } }
}

extension [CommitItem] {
    /// What is committed, in a line.
    var summary: String {
        let parts = flatMap { item -> [String] in
            switch item {
            case .create: ["run.started"]
            case .advance(let advance):
                advance.events.map { $0.subject.isEmpty ? $0.kind.rawValue : "\($0.kind.rawValue) \($0.subject)" }
                    + (advance.transition.map { ["(\($0.state.rawValue))"] } ?? [])
            case .deliver(let delivery): ["message \(delivery.kind)"]
            case .schedule(let change): ["schedule \(change.key.id)"] + change.starts.map { _ in "run.started" }
            case .beat: []
            }
        }
        return parts.joined(separator: ", ")
    }
}
