import Perdure
import PerdureHistory
import PerdureStore

// A run that is to be reset, from the event that says so to `run.reset`. The code is told nothing more. What it had asked for ends; what
// may have been sent is settled; what is to be undone is undone. All of that stands in the history, so that a crash changes nothing.
extension RunMachine {
    /// A reset that is under way.
    struct Rewinding {
        let request: ResetRequest
        let by: JSONValue?
        /// Undos that were decided on and had not begun. Their effects stand, unless the reset has them undone.
        var withdrawn: [StepOperation] = []
    }

    /// Something that had happened and was undone, and which events say so.
    struct UndoneSpan {
        let subject: String
        let completedAt: Int64
        let undoneAt: Int64
    }

    // MARK: The beginning

    mutating func resetBegins(_ row: InboxRow) -> EventDraft {
        guard let request = row.resetRequest else { return row.refusal(.usage, "the reset cannot be read") }
        if let problem = problem(of: request) { return row.refusal(.resetRefused, problem) }
        batch.hasReset = true
        return row.resetBegins(request)
    }

    private func problem(of request: ResetRequest) -> String? {
        if rewinding != nil { return ResetProblem.isResetting }
        guard request.to >= 1, request.to < lastSeq else { return ResetProblem.noSuchEvent }
        if request.to <= copiedUntil { return ResetProblem.copied }
        // An undo that the lost part may have done must not be withdrawn as if it had never begun.
        if steps.values.contains(where: { $0.isToBeDoubted || ($0.isUnbegunUndo && $0.mayHaveBeenLost) }) {
            return ResetProblem.lost
        }
        if resets.passesOver(request.to) { return ResetProblem.passedOver }
        if let span = undoneSpans.first(where: { $0.completedAt <= request.to && request.to < $0.undoneAt }) {
            return ResetProblem.undone(span.subject, stands: span.completedAt)
        }
        for step in steps.values where step.family == .undo && step.hasIntent && step.undoneSince <= request.to {
            return ResetProblem.undone(step.request.subject, stands: step.undoneSince)
        }
        return nil
    }

    mutating func feedResetBegins(_ event: Event, _ attributes: JSONObject) throws {
        guard let request = ResetRequest(attributes) else {
            throw Divergence(.unreadable, subject: "", message: "Event \(event.seq) does not say to where the run is reset.")
        }
        rewinding = Rewinding(request: request, by: attributes["by"])
        unwindings = [:]
        succession = nil
        (signalWaits, signalWaitNames) = ([:], [:])
        (updates.waits, updates.names) = ([:], [:])
        patchesToRecord = []
        for id in steps.keys {
            guard let step = steps[id], step.isUnbegunUndo else { continue }
            withdraw(undo: step)
        }
        for id in steps.keys + timers.keys + questions.keys + notes.keys { cancel(id) }
        for (id, child) in children where isOfPassedPart(child) { cancelChild(id) }
    }

    private func isOfPassedPart(_ child: ChildOperation) -> Bool {
        guard child.run != nil, let rewinding else { return true }
        return child.startedAt > rewinding.request.to
    }

    /// An undo that has not begun is one that nobody has decided on any more: what it was to undo counts as completed.
    private mutating func withdraw(undo: StepOperation) {
        rewinding?.withdrawn.append(undo)
        end(undo.id, with: nil)
        switch undo.owner {
        case .step(let id, _)?:
            if let step = steps[id], let how = step.request.undo {
                completed.append(
                    CompletedStep(
                        id: id, request: step.request, undo: how, output: undo.undoneOutput, keyGeneration: undo.keyGeneration,
                        completedAt: undo.undoneSince))
            }
            end(id, with: nil)
        case .child(let id)?:
            if let child = children[id], let how = child.request.undo {
                completed.append(
                    CompletedStep(
                        id: id, request: child.request.undone, undo: how, output: undo.undoneOutput,
                        keyGeneration: undo.keyGeneration, completedAt: undo.undoneSince))
            }
            endChild(id, with: nil)
        case .unwinding?, nil:
            if let index = completed.lastIndex(where: { $0.id == undo.source }) { completed[index].isBeingUndone = false }
        }
    }

    /// Nobody else settles the business key of an effect that stands.
    func settleWithdrawn(into drafts: inout Drafts) {
        for undo in rewinding?.withdrawn ?? [] where completed.contains(where: { $0.id == undo.source && !$0.isBeingUndone }) {
            settleKey(of: undo, .happened(output: undo.undoneOutput), into: &drafts)
        }
    }

    // MARK: On the way

    /// Every event of a reset ends here: the code hears of none, and the next undo begins when nothing else is open.
    mutating func goOnRewinding() {
        guard rewinding != nil, !isClosed else { return }
        answers.removeAll()
        rootShouldCancel = false
        guard isSettled, let index = indexToUndo else { return }
        undoCompletedStep(at: index, for: nil)
    }

    /// Whether nothing is open but what was open at the point already and is not this process's to end.
    private var isSettled: Bool {
        steps.isEmpty && timers.isEmpty && questions.isEmpty && notes.isEmpty && requestedSinceRest.isEmpty
            && children.values.allSatisfy { !$0.isCancelled && !isOfPassedPart($0) }
    }

    /// The newest of what is to be undone.
    private var indexToUndo: Int? {
        guard let rewinding else { return nil }
        return completed.indices.last { index in
            let step = completed[index]
            return step.completedAt > rewinding.request.to && !step.isBeingUndone
                && rewinding.request.choice(for: step.request.subject) == .undo
        }
    }

    // MARK: The end

    /// The reset itself, as soon as nothing stands before it any more. The run is given up with it, and read anew.
    func resetEnds(after plan: Plan) -> EventDraft? {
        guard let rewinding, plan.drafts.isEmpty, plan.actions.isEmpty, !batch.hasDrafts, isSettled, indexToUndo == nil else {
            return nil
        }
        return rewinding.request.event(by: rewinding.by)
    }
}
