import CoreMetrics
import Logging
import PerdureHistory
import Synchronization

/// What an engine found when it opened its store, and what became of it.
///
/// Counted are the runs that belonged to a process that died and whose workflows this engine hosts. Once the recovery has finished each
/// of them moves or is held back: none is lost.
public struct RecoveryReport: Sendable, Hashable {
    /// How long it took from the opening of the store until no run was open any more; `nil` until then.
    public internal(set) var duration: Duration?
    /// Runs that were taken over.
    public internal(set) var runsTakenOver = 0
    /// Of these, the runs that go on: what was outstanding is under way again, or they wait for what they waited for before.
    public internal(set) var runsMoving = 0
    /// Of these, the runs whose code was not brought in or stopped again: their history is broken or does not fit, they took their process
    /// down again and again, or somebody had paused them or pinned them to another version. The note of each says why, or its version.
    public internal(set) var runsHeldBack = 0
    /// Attempts begun of steps that an owner before had begun already, or may have. Goes on counting after the recovery, since some of
    /// them are due later.
    public internal(set) var attemptsRepeated = 0

    /// Whether every run that was taken over moves or is held back.
    public var isFinished: Bool { duration != nil }
    /// Runs that were taken over and neither move nor are held back yet. Zero once the recovery has finished.
    public var runsOpen: Int { runsTakenOver - runsMoving - runsHeldBack }
}

extension Engine {
    /// What has been recovered so far of the runs that an engine before this one left when it died.
    public var recovery: RecoveryReport { recovering.report }
}

/// Follows the runs that were taken over until each of them moves.
final class Recovery: Sendable {
    private struct State {
        var report = RecoveryReport()
        var open: Set<Int64> = []
        /// The store has no more runs of dead owners.
        var hasFoundAll = false
    }

    private let clock: any EngineClock
    private let begin: Timestamp
    private let logger: Logger
    private let metrics: EngineMetrics
    private let state = Mutex(State())

    /// - Parameter begin: When the opening of the store began.
    init(clock: any EngineClock, since begin: Timestamp, logger: Logger, metrics: EngineMetrics) {
        self.clock = clock
        self.begin = begin
        self.logger = logger
        self.metrics = metrics
    }

    var report: RecoveryReport { state.withLock { $0.report } }

    func tookOver(_ run: Int64) {
        state.withLock { state in
            guard !state.report.isFinished, state.open.insert(run).inserted else { return }
            state.report.runsTakenOver += 1
        }
    }

    /// There is nothing left to be taken over.
    func foundAll() { change { $0.hasFoundAll = true } }

    /// The run goes on.
    func moves(_ run: Int64) {
        change { if $0.open.remove(run) != nil { $0.report.runsMoving += 1 } }
    }

    /// The run's code is not brought in.
    func isHeldBack(_ run: Int64) {
        change { if $0.open.remove(run) != nil { $0.report.runsHeldBack += 1 } }
    }

    func heard(_ event: ActivationEvent, of run: Int64) {
        switch event {
        case .released, .closed, .replied, .harmless: moves(run)
        case .blocked, .stoodDown: isHeldBack(run)
        case .missedMail, .toldOthers, .lost, .gone: break
        }
    }

    func repeatsAttempt() {
        state.withLock { $0.report.attemptsRepeated += 1 }
        metrics.attemptsRepeated.increment()
    }

    private func change(_ body: (inout State) -> Void) {
        let finished = state.withLock { state -> RecoveryReport? in
            guard !state.report.isFinished else { return nil }
            body(&state)
            guard state.hasFoundAll, state.open.isEmpty else { return nil }
            state.report.duration = clock.now().duration(since: begin)
            return state.report
        }
        guard let finished, let duration = finished.duration else { return }
        metrics.recovery.record(duration / .seconds(1))
        // An engine that was shut down left nothing to recover, and nothing to say.
        guard finished.runsTakenOver > 0 else { return }
        logger.info(
            "recovery finished",
            metadata: [
                "duration": "\(duration)", "runs": "\(finished.runsTakenOver)", "moving": "\(finished.runsMoving)",
                "held_back": "\(finished.runsHeldBack)", "attempts_repeated": "\(finished.attemptsRepeated)",
            ])
    }
}
