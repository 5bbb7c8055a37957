import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization

/// The processes of one trial, one after the other, and the people outside.
final class TrialLife: Sendable {
    private struct State {
        var run: RunID?
        var failure: (any Error)?
        var decisions: [String] = []
        /// What was said of steps in doubt, by their last event, so that it is said once.
        var said: Set<String> = []
    }

    private let subject: TrialSubject
    private let stage: TestStage
    private let watch: TrialWatch
    private let cast: TrialSubject.Cast
    private let state = Mutex(State())

    init(_ subject: TrialSubject, _ stage: TestStage, _ watch: TrialWatch, _ cast: TrialSubject.Cast) {
        self.subject = subject
        self.stage = stage
        self.watch = watch
        self.cast = cast
    }

    /// What a person had to say, since nobody else could know.
    var decisions: [String] { state.withLock { $0.decisions } }

    /// A process that dies more often does not get anywhere.
    private static let limit = 20

    /// Starts one process after the other until the run is over.
    func live() async throws {
        let client = try await stage.client()
        let player = ScriptPlayer(
            subject.script, stage.simulation, client, sendsTwice: watch.plan?.interruption == .duplicateDelivery)
        stage.add(player)
        for life in 1...Self.limit {
            if life > 1 { try await meanwhile(client, player) }
            var processes = [boot(player)], isOver = false
            try await stage.pulse.wait {
                if watch.takeStandstill() { processes.append(boot(player)) }
                isOver = try await look(client)
                return isOver || processes.allSatisfy { !$0.isAlive }
            }
            guard isOver else { continue }
            for process in processes where process.isAlive { await process.shutDown() }
            return
        }
        watch.violated("Its process died \(Self.limit) times.")
    }

    private func boot(_ player: ScriptPlayer) -> SimulatedProcess {
        let process = stage.process(gate: watch)
        Task(executorPreference: process.tasks) { [self] in
            do {
                var configuration = subject.configuration
                if watch.plan?.interruption == .eviction { configuration.cachedRuns = 0 }
                let engine = try await stage.engine(
                    in: process, configuration, logger: Logger(label: "perdure.trial") { _ in SwiftLogNoOpLogHandler() },
                    watch: TrialBodies(watch: watch, process: process), cast.workflows)
                if process.isAlive { process.start(engine) }
                let run = try await start(engine)
                state.withLock { $0.run = run }
                player.begin(run)
            } catch {
                if process.isAlive { state.withLock { $0.failure = error } }
            }
            stage.pulse.beat()
        }
        return process
    }

    /// As whoever starts a run has to: with the same key, until the store has said that it is there.
    private func start(_ engine: Engine) async throws -> RunID {
        while true {
            do {
                return try await subject.start(engine)
            } catch let error as PerdureError where error.code == .storeUnavailable {
                try await stage.simulation.sleep(for: .milliseconds(10))
            }
        }
    }

    /// What comes about while no process lives.
    private func meanwhile(_ client: Client, _ player: ScriptPlayer) async throws {
        guard let run = state.withLock({ $0.run }) else { return }
        switch watch.plan?.interruption {
        case .cancelledWhileDown: try await cancel(run, client)
        case .messageWhileDown: await player.sendNext()
        default: break
        }
    }

    private func cancel(_ run: RunID, _ client: Client) async throws {
        do {
            try await client.cancel(run, by: ScriptedEvent.person)
        } catch let error as PerdureError where error.code == .runClosed {
            // It came too late, as it may.
        }
    }

    /// - Returns: Whether everything is over.
    private func look(_ client: Client) async throws -> Bool {
        let (run, failure) = state.withLock { ($0.run, $0.failure) }
        if let failure { throw failure }
        guard let run else { return false }
        if watch.takeCancel() { try await cancel(run, client) }
        var isOver = true
        for record in try await client.guarded({ try await client.store.runs(RunFilter(limit: 1_000)) }) {
            switch record.state {
            case .completed, .failed, .cancelled, .terminated, .blocked, .quarantined, .paused: continue
            case .parked: if try await !decide(on: record, client) { continue }
            case .queued, .ready, .running, .waiting: break
            }
            isOver = false
        }
        return isOver
    }

    /// Says of every step that cannot go on by itself what is to become of it: of one in doubt, what is true.
    ///
    /// - Returns: Whether there was one; otherwise nothing will move the run.
    private func decide(on record: RunRecord, _ client: Client) async throws -> Bool {
        let steps = try await client.view(of: record.id).steps.filter(\.isStuck)
        var isHeard = false
        for step in steps {
            let word = subject.person(step)
            guard word != nil || step.isInDoubt else { continue }
            isHeard = true
            let place = "\(record.id) \(step.subject) \(step.isUndo) \(step.lastSeq)"
            guard state.withLock({ $0.said.insert(place).inserted }) else { continue }
            if let quiet = step.quietAfter, stage.simulation.now < quiet {
                try await stage.simulation.sleep(for: quiet.duration(since: stage.simulation.now) + .milliseconds(1))
            }
            let what = "\(step.isUndo ? "the undo of " : "")'\(step.subject)'"
            // Whoever looks at the other side does so when nothing can happen there any more.
            switch word ?? .resolve(truth(of: step, record)) {
            case .retry:
                state.withLock { $0.decisions.append("Whether \(what) is tried again: \(step.message ?? "it cannot go on").") }
                try await client.retry(record.id, step: step.subject, by: ScriptedEvent.person)
            case .resolve(let resolution):
                state.withLock { $0.decisions.append("Whether \(what) happened: \(step.doubt ?? "nobody knows").") }
                try await client.resolve(
                    record.id, step: step.subject, resolution, reason: "looked at the other side", by: ScriptedEvent.person)
            }
        }
        return isHeard
    }

    private func truth(of step: RunView.Step, _ record: RunRecord) -> StepResolution {
        watch.truth(of: step.subject, isUndo: step.isUndo, in: record.id)
    }
}
