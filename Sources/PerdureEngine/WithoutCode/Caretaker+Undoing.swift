import Perdure
import PerdureHistory
import PerdureStore

// Undoing without the run's code: what a typed step did, if the type is registered here. The caretaker only says that it is to be; a
// stand-in for the code does it. The message that led to it stays unread until it is over.
extension Caretaker {
    /// Why nothing can be undone here and now, whatever it is; nil if something can.
    private var obstacle: String? {
        if isAfterEnd { return "the run was terminated and its code never runs again" }
        if isEnding { return "the run is being terminated" }
        if view.isPoisoned { return "the run has taken its process down and waits for a person" }
        if view.isPaused { return "the run is paused; resume it first" }
        return nil
    }

    /// Why what a step did cannot be undone here; nil if it can.
    private func problem(undoing subject: String, output: [UInt8]? = nil) -> String? {
        if let obstacle { return obstacle }
        var step = recorded[subject] ?? RecordedStep()
        if let output { step.output = output }
        return registry.problem(undoing: step)
    }

    // MARK: Of a step in doubt

    /// Nothing is begun that could not be ended: the type has to be known here, and able to read what was recorded.
    mutating func undo(_ step: RunView.Step, _ resolution: Resolution, output: [UInt8], _ row: InboxRow) {
        if step.isUndo { return refuse(row, .stepNotStuck, "this step has no undo") }
        if let obstacle { return refuse(row, .stepNotStuck, "an undo needs the code, and \(obstacle)") }
        guard let type = recorded[step.subject]?.type, let known = registry[type] else {
            return refuse(
                row, .stepNotStuck,
                "an undo needs the code, and the run's code is not at work here; undo it by hand and say that it did not happen")
        }
        if let problem = known.refusesOutput(output) { return refuse(row, .answerInvalid, problem) }
        if let problem = problem(undoing: step.subject, output: output) { return refuse(row, .inputUndecodable, problem) }
        record(resolved(step, resolution, output: output, row))
        hasResolved = true
    }

    // MARK: Of a reset

    /// Why what is to be undone before a reset cannot be; nil if it can.
    func problem(undoing subjects: [String]) -> String? {
        if subjects.isEmpty { return nil }
        if let obstacle { return "something is to be undone first, and \(obstacle)" }
        // Which of them counts as done since when, after another reset, only the code can say.
        if !view.standing.resets.isEmpty { return ResetProblem.needsCode(subjects) }
        let unknown = subjects.filter { subject in recorded[subject]?.type.flatMap { registry[$0] } == nil }
        if !unknown.isEmpty { return ResetProblem.needsCode(unknown) }
        return subjects.lazy.compactMap { subject in
            problem(undoing: subject).map { "what '\(subject)' did cannot be undone here: \($0)" }
        }.first
    }

    /// Ends what waits and was not sent, as the code's machine would when a reset begins.
    mutating func endWaits() {
        for step in view.openApprovals { record(EventDraft(.approvalCancelled, subject: step.subject)) }
        for step in view.unsentSteps {
            record(EventDraft(.stepCancelled, subject: step.subject, attributes: ["effect": .string(step.effect)]))
            settleKey(of: step.subject, .free)
        }
        for timer in view.openTimers { record(EventDraft(.timerCancelled, subject: timer.subject)) }
        for question in view.openQuestions { record(EventDraft(.questionCancelled, subject: question.subject)) }
    }

    // MARK: The stand-in

    /// Whether history says already that the message was heeded. Its row is unread so that somebody goes on with what it let begin.
    func hasBegun(_ row: InboxRow) -> Bool { view.heeded.contains(row.delivery.id) }

    /// What was heeded stays unread until what came of it is over, or until it is clear that nothing is to be undone here.
    mutating func settle(_ row: InboxRow) {
        if hasBegun(row) { held.append(row.number) } else { consumed.append(row.number) }
    }

    /// Whether something is to be undone here and now. Everything else has been recorded.
    var hasToUndo: Bool {
        guard end == nil, obstacle == nil else { return false }
        if let request = view.resetting {
            let survey = view.survey(of: request)
            let isOpen =
                view.unsettledSteps.contains { !$0.isUndo } || !survey.openChildren.isEmpty
                || view.steps.contains(where: \.isStuck)
            return !isOpen && problem(undoing: survey.completed.filter { $0.choice == .undo }.map(\.subject)) == nil
        }
        let begun = view.steps.filter { $0.isUndo && !$0.isOver && !$0.isStuck }
        return (begun + view.stepsToUndo).contains { problem(undoing: $0.subject) == nil }
    }

    /// Where nothing is undone here, the messages that asked for it are done with.
    mutating func letGo() {
        consumed += held
        held = []
    }
}
