import Foundation
public import Perdure
public import PerdureEngine
import PerdureHistory

/// Interrupts a workflow at every one of its checkpoints, in every way, and looks whether it ends as if nothing had happened.
///
/// It is run once undisturbed, to learn its checkpoints: every commit and every body. Then it is run once for each of them and each kind of
/// `Interruption`, each time in a world of its own, in virtual time. After each run the histories have to hold together, the effects in the
/// world have to be those of the undisturbed run, no step whose outcome was on disk may have begun again, and the code has to make the same
/// decisions when the history is replayed to it, without touching the world.
public struct CrashMatrix: Sendable {
    /// The name of the workflow that is tried.
    public let workflow: String
    /// Its version.
    public let version: String
    private var subject: TrialSubject
    private let interruptions: [Interruption]
    private let endMayDiffer: Bool
    private var wayMayDiffer = false

    /// What is tried: one run of a workflow, which `Principal(.human, "starter")` starts with the key `trial`.
    ///
    /// - Parameters:
    ///   - workflow: Makes the workflow over a world.
    ///   - input: What it is started with.
    ///   - world: Makes the other side, as it is before the run. Called once for each trial.
    ///   - script: What comes from outside meanwhile.
    ///   - others: Makes the other workflows that the run needs, such as its children.
    ///   - interruptions: What is tried.
    ///   - endMayDiffer: For workflows in which time or a race decides about the end. Then effects, decisions and the result of an
    ///     interrupted run may differ from the undisturbed one's, but no effect may stand more often.
    ///   - configuration: How the engines work, as in production. Its threads and its clock are not used.
    public init<W: Workflow, World: TestWorld>(
        _ workflow: @escaping @Sendable (World) -> W, input: W.Input, world: @escaping @Sendable () -> World,
        script: [ScriptedEvent] = [], others: @escaping @Sendable (World) -> [RegisteredWorkflow] = { _ in [] },
        interruptions: [Interruption] = Interruption.allCases, endMayDiffer: Bool = false,
        configuration: EngineConfiguration = EngineConfiguration()
    ) {
        self.workflow = W.name
        version = W.version.description
        var configuration = configuration
        configuration.verificationRate = 0
        configuration.keepsRetention = configuration.retention != nil || configuration.tombstoneRetention != nil
        subject = TrialSubject(
            cast: {
                let world = world()
                return TrialSubject.Cast(
                    effects: { world.effects }, workflows: [RegisteredWorkflow(workflow(world))] + others(world))
            },
            start: { engine in
                try await engine.start(W.self, input: input, key: "trial", by: Principal(.human, "starter")).id
            },
            script: script, configuration: configuration)
        self.interruptions = interruptions
        self.endMayDiffer = endMayDiffer
    }

    /// The same, with a person who has something to say about steps that cannot go on by themselves.
    ///
    /// - Parameters:
    ///   - turnLimit: How much may be done in a trial at one time.
    ///   - commitTime: How long a commit takes.
    ///   - wayMayDiffer: Whether an interrupted run may come to the same end on another way.
    package func with(
        turnLimit: Int, commitTime: Duration = .zero, wayMayDiffer: Bool = false,
        person: @escaping @Sendable (RunView.Step) -> PersonsWord? = { _ in nil }
    ) -> CrashMatrix {
        var matrix = self
        (matrix.subject.turnLimit, matrix.subject.commitTime, matrix.subject.person) = (turnLimit, commitTime, person)
        matrix.wayMayDiffer = wayMayDiffer
        return matrix
    }

    /// Runs the workflow once undisturbed, then once for each interruption. As many at once as there are cores.
    ///
    /// - Throws: `TestFailure` if the undisturbed run does not end, or does not keep what interrupted ones have to keep, and if none of the
    ///   interruptions can be done to it. `PerdureError` for names that are invalid or registered twice.
    public func run() async throws -> ResumabilityReport {
        let reference = try await undisturbed()
        var plans = self.plans(for: reference)
        let unwinding = try await self.unwinding(after: reference)
        plans += unwinding?.plans ?? []
        // Nothing tried is nothing shown.
        guard !plans.isEmpty else {
            throw TestFailure(
                "\(workflow) \(version) was not interrupted at all: none of the interruptions that were asked for can be done to it "
                    + "(\(interruptions.map(\.rawValue).joined(separator: ", "))).")
        }
        var report = ResumabilityReport(
            workflow: workflow, version: version, end: reference.state, effects: reference.effects,
            checkpoints: reference.watch.checkpoints, trials: [], warnings: [], sightings: [])
        var usedKeys = reference.watch.usedKeys, undone = reference.watch.undone, survey = reference.survey
        if let unwinding { survey.add(unwinding.reference.survey) }
        for (plan, end) in zip(plans, try await ends(of: plans, lease: Trial.lease(for: reference.elapsed))) {
            usedKeys.formUnion(end.watch.usedKeys)
            undone.formUnion(end.watch.undone)
            survey.add(end.survey)
            let model = plan.interruption.place == .unwinding ? unwinding?.reference ?? reference : reference
            report.trials.append(verdict(plan, end, model))
        }
        report.sightings = survey.sightings
        report.warnings = warnings(reference, usedKeys: usedKeys, undone: undone)
        return report
    }

    /// Each trial has a thread of its own, so as many as there are cores go on at once.
    private func ends(of plans: [TrialWatch.Plan], lease: Duration) async throws -> [TrialEnd] {
        let subject = subject
        return try await withThrowingTaskGroup(of: (Int, TrialEnd).self) { group in
            var ends: [TrialEnd?] = Array(repeating: nil, count: plans.count), next = 0
            func begin() {
                guard next < plans.count else { return }
                let index = next, plan = plans[index]
                next += 1
                group.addTask { (index, try await Trial(subject: subject, plan: plan, lease: lease).run()) }
            }
            for _ in 0..<ProcessInfo.processInfo.activeProcessorCount { begin() }
            while let (index, end) = try await group.next() {
                ends[index] = end
                begin()
            }
            return ends.compactMap(\.self)
        }
    }

    private func undisturbed() async throws -> TrialEnd {
        let end = try await Trial(subject: subject, plan: nil).run()
        guard end.violations.isEmpty, ["completed", "failed", "cancelled"].contains(end.state) else {
            let why = end.violations.isEmpty ? ["it is \(end.state)"] : end.violations
            throw TestFailure(
                (["\(workflow) \(version) does not come to a good end even if nothing interrupts it:"] + why.map { "- \($0)" }
                    + ["The history:"] + end.history.map { "    \($0)" }).joined(separator: "\n"))
        }
        return end
    }

    // MARK: What is tried

    private func plans(for reference: TrialEnd) -> [TrialWatch.Plan] {
        let commits = reference.watch.commits, bodies = reference.watch.bodies
        return interruptions.flatMap { interruption -> [TrialWatch.Plan] in
            switch interruption.place {
            case .commit:
                if interruption == .messageWhileDown, !subject.hasMessages { return [] }
                return (0..<commits).map { TrialWatch.Plan(interruption: interruption, number: $0 + 1) }
            case .dispatch: return (0..<bodies).map { TrialWatch.Plan(interruption: interruption, number: $0 + 1) }
            case .whole:
                if interruption == .duplicateDelivery, subject.script.isEmpty { return [] }
                return [TrialWatch.Plan(interruption: interruption, number: 0)]
            case .unwinding: return []
            }
        }
    }

    /// The run is cancelled as late as possible, so that all that it has done is undone; the undoing is then interrupted.
    private func unwinding(after reference: TrialEnd) async throws -> (reference: TrialEnd, plans: [TrialWatch.Plan])? {
        let kinds = interruptions.filter { $0.place == .unwinding }, last = reference.watch.commits - 1
        guard !kinds.isEmpty, last >= 2 else { return nil }
        let calm = TrialWatch.Plan(interruption: .crashBeforeUndo, number: .max, cancelsAfter: last)
        let end = try await Trial(subject: subject, plan: calm).run()
        guard end.watch.commits > last else { return nil }
        let plans = kinds.flatMap { kind in
            ((last + 1)...end.watch.commits).map { TrialWatch.Plan(interruption: kind, number: $0, cancelsAfter: last) }
        }
        return (end, plans)
    }

    // MARK: What came of it

    private func verdict(_ plan: TrialWatch.Plan, _ end: TrialEnd, _ model: TrialEnd) -> ResumabilityReport.Trial {
        var violations = end.violations
        if plan.interruption.leavesNoTrace, !endMayDiffer {
            violations += differences(end, model)
        } else {
            for (effect, count) in end.effects.sorted(by: { $0.key < $1.key }) {
                // Where a race decides, an effect may stand once that undisturbed does not.
                let most = max(model.effects[effect, default: 0], end.effectsBefore[effect, default: 0], endMayDiffer ? 1 : 0)
                if count > most { violations.append("'\(effect)' stands \(count) times, undisturbed at most \(most) times.") }
            }
            if !["completed", "failed", "cancelled"].contains(end.state) {
                violations.append("It is \(end.state) and never ends.")
            }
        }
        let checkpoint = model.watch.checkpoints.first {
            $0.number == plan.number && $0.isCommit == (plan.interruption.place != .dispatch)
        }
        return ResumabilityReport.Trial(
            interruption: plan.interruption, checkpoint: plan.interruption.place == .whole ? nil : checkpoint, end: end.state,
            deaths: end.watch.deaths, takeovers: end.takeovers, repeatedAttempts: end.watch.repeated, decisions: end.decisions,
            violations: violations,
            history: violations.isEmpty ? nil : end.history)
    }

    private func differences(_ end: TrialEnd, _ model: TrialEnd) -> [String] {
        var differences: [String] = []
        if end.state != model.state { differences.append("It ends as \(end.state), undisturbed as \(model.state).") }
        if end.output != model.output { differences.append("It returns something else than undisturbed.") }
        if end.failure != model.failure {
            differences.append("It fails with '\(end.failure ?? "nothing")', undisturbed with '\(model.failure ?? "nothing")'.")
        }
        if end.effects != model.effects {
            differences.append(
                "In the world stand \(ResumabilityReport.list(end.effects)); undisturbed \(ResumabilityReport.list(model.effects))."
            )
        }
        if wayMayDiffer { return differences }
        let more = end.decisionsOfCode.removing(model.decisionsOfCode), less = model.decisionsOfCode.removing(end.decisionsOfCode)
        if !more.isEmpty {
            differences.append("Its history has what the undisturbed one has not: \(more.joined(separator: ", ")).")
        }
        if !less.isEmpty {
            differences.append("Its history lacks what the undisturbed one has: \(less.joined(separator: ", ")).")
        }
        return differences
    }

    private func warnings(_ reference: TrialEnd, usedKeys: Set<String>, undone: Set<String>) -> [String] {
        var warnings: [String] = []
        for step in reference.steps where !step.isUndo && step.hasHappened {
            if step.effect == EffectKind.idempotent(.forever).name, !usedKeys.contains(step.subject) {
                warnings.append(
                    "'\(step.subject)' is declared idempotent, but its body never asks for the idempotency key: the other side cannot "
                        + "recognise a second attempt.")
            }
            if step.irreversible == nil, step.effect != EffectKind.read.name, !undone.contains(step.subject) {
                warnings.append("The undo of '\(step.subject)' was never run by any of these trials.")
            }
        }
        return warnings
    }
}

extension TrialSubject {
    var hasMessages: Bool { script.contains { if case .message = $0.part { true } else { false } } }
}

extension [String] {
    /// Without these, each of them taken away once.
    fileprivate func removing(_ others: [String]) -> [String] {
        var counts: [String: Int] = [:]
        for other in others { counts[other, default: 0] += 1 }
        return filter { element in
            guard counts[element, default: 0] > 0 else { return true }
            counts[element, default: 0] -= 1
            return false
        }
    }
}
