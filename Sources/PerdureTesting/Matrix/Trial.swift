import Foundation
import Logging
import Perdure
package import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore

/// What is tried: a workflow with a world of its own for each trial.
struct TrialSubject: Sendable {
    /// A world, and workflows that act upon it.
    struct Cast: Sendable {
        let effects: @Sendable () -> [String: Int]
        let workflows: [RegisteredWorkflow]
    }

    let cast: @Sendable () throws -> Cast
    /// Starts the run, or finds the one that was started before.
    let start: @Sendable (Engine) async throws -> RunID
    let script: [ScriptedEvent]
    let configuration: EngineConfiguration
    /// What a person says of a step that only a person can move; nil for the truth about one in doubt, and nothing about a dead letter.
    var person: @Sendable (RunView.Step) -> PersonsWord? = { _ in nil }
    /// How much may be done in a trial at one time: what has no end is not waited for.
    var turnLimit = 1_000_000
    /// How long a commit takes.
    var commitTime = Duration.zero
}

/// What a person says of a step that cannot go on by itself.
package enum PersonsWord: Sendable {
    case retry
    case resolve(StepResolution)
}

/// How one trial ended.
struct TrialEnd: Sendable {
    var state = "not started"
    var output: [UInt8]?
    var failure: String?
    var effects: [String: Int] = [:]
    /// What stood before the run.
    var effectsBefore: [String: Int] = [:]
    var history: [String] = []
    var steps: [RunView.Step] = []
    var survey = WorkflowInventory.Survey()
    /// How much time has passed in it.
    var elapsed = Duration.zero
    /// How often a run was taken over from a process that had died or lost its lease.
    var takeovers = 0
    var decisions: [String] = []
    var watch: TrialWatch.State
    var violations: [String] = []

    /// What the workflow decided: what it asked for, and how that ended, whatever happened in between.
    var decisionsOfCode: [String] = []
}

/// One life of a workflow, from its start to its end, with an interruption in the middle.
struct Trial: Sendable {
    let subject: TrialSubject
    let plan: TrialWatch.Plan?
    /// How long nodes live without renewing, where several share the store.
    var lease = Self.shortestLease

    static let shortestLease = Duration.seconds(5)

    /// A lease that is renewed some thousand times in a run that takes so long. Over weeks of waiting the shortest one would be renewed a
    /// million times, which is nearly all that a trial would do.
    static func lease(for elapsed: Duration) -> Duration { max(shortestLease, elapsed / 500) }

    /// Long enough for another node to have seen the lease unrenewed for its full length.
    private var standstill: Duration { max(.seconds(60), lease * 3) }

    func run() async throws -> TrialEnd {
        let cast = try subject.cast(), before = cast.effects()
        let stage = TestStage(
            Simulation(outside: .refused, turnLimit: subject.turnLimit),
            ownership: plan?.interruption == .lostLease ? .leases(lease) : .exclusive)
        let watch = TrialWatch(
            plan, stage, standstill: standstill, commitTime: subject.commitTime, effects: cast.effects)
        let begin = stage.simulation.now, life = TrialLife(subject, stage, watch, cast)
        var violations: [String] = []
        do {
            try await stage.simulation.run { try await life.live() }
        } catch let failure as SimulationFailure {
            violations = TestFailure(failure, whoWaits: try await stage.standing()).description.split(separator: "\n").map(
                String.init)
        } catch let error as PerdureError {
            violations = ["\(error)"]
        }
        var end = try await look(stage, watch, cast, life.decisions, violations)
        end.effectsBefore = before
        end.elapsed = stage.simulation.now.duration(since: begin)
        return end
    }

    // MARK: Looking at it

    private func look(
        _ stage: TestStage, _ watch: TrialWatch, _ cast: TrialSubject.Cast, _ decisions: [String], _ violations: [String]
    ) async throws -> TrialEnd {
        let client = try await stage.client()
        var end = TrialEnd(watch: watch.now)
        end.decisions = decisions
        end.effects = cast.effects()
        end.violations = violations + end.watch.violations
        end.violations += try await client.guarded { try await client.store.audit() }.map { "the store: \($0)" }
        let records = try await client.guarded { try await client.store.runs(RunFilter(limit: 1_000)) }.reversed()
        for (index, record) in records.enumerated() {
            let events = try await client.history(of: record.id), view = RunView(events)
            var children: [(record: RunRecord, events: [Event])] = []
            for child in view.children {
                children.append((try await client.record(child.run), try await client.history(of: child.run)))
            }
            let verdict = HistoryVerifier.verify(record, events, children: children)
            end.violations += verdict.problems.map { "\(record.workflow), event \($0.seq ?? 0): \($0.message)" }
            if record.state == .blocked || record.state == .quarantined {
                end.violations.append("\(record.workflow) is \(record.state.rawValue): \(record.note ?? "")")
            }
            if record.state.isFinal, record.state != .terminated {
                let open = view.steps.filter { $0.approval?.isOpen == true }
                end.violations += open.map {
                    "\(record.workflow) has ended, and the approval of '\($0.subject)' is still asked for."
                }
            }
            end.history += events.map { "\(record.workflow) \($0.seq) \($0.kind.rawValue) \($0.subject)" }
            end.steps += view.steps
            end.survey.add(events, workflow: record.workflow, version: record.version)
            end.takeovers += view.takeovers
            end.decisionsOfCode += Self.decisions(events).map { "\(record.workflow): \($0)" }
            guard index == 0 else { continue }
            end.state = record.state.rawValue
            if case .inline(let bytes)? = view.final?.output { end.output = bytes }
            end.failure = view.final.flatMap { (try? $0.attributes.object())?["message"]?.stringValue }
        }
        end.decisionsOfCode.sort()
        try await rehearse(client, records.map(\.self), cast, &end)
        return end
    }

    /// The code makes the same decisions once more, from the history alone, and nothing happens outside.
    private func rehearse(
        _ client: Client, _ records: [RunRecord], _ cast: TrialSubject.Cast, _ end: inout TrialEnd
    ) async throws {
        let rehearser = try await Rehearser(client, cast.workflows, subject.configuration)
        for record in records {
            if case .blocks(let divergence) = try await rehearser.rehearse(record).verdict {
                end.violations.append("\(record.workflow) does not decide the same when it is replayed: \(divergence.message)")
            }
        }
        await rehearser.close()
        if cast.effects() != end.effects {
            end.violations.append(
                "The code acts outside of steps: replaying the history changed the world from \(ResumabilityReport.list(end.effects)) to "
                    + "\(ResumabilityReport.list(cast.effects())).")
        }
    }

    /// What does not depend on when a process died or how often something was tried.
    private static func decisions(_ events: [Event]) -> [String] {
        events.compactMap { event in
            switch event.kind {
            case .stepSucceeded, .stepFailed, .stepCancelled, .timerFired, .timerCancelled, .signalReceived, .approvalRequested,
                .approvalDecided, .questionAsked, .questionAnswered, .childStarted, .childCompleted, .childFailed,
                .childCancelled,
                .undoStarted, .undoSucceeded, .updateReceived, .updateCompleted, .versionPatched, .statusReported, .runCompleted,
                .runFailed, .runCancelled:
                "\(event.kind.rawValue) \(event.subject)"
            // A person's or a probe's word in the place of an answer that was lost.
            case .stepResolved:
                (try? event.attributes.object())?["resolution"] == "happened" ? "step.succeeded \(event.subject)" : nil
            default: nil
            }
        }
    }
}
