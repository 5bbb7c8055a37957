import Perdure
import PerdureHistory

// The rules of resets: what they pass over is settled, was asked for, and is not done again under the same key.
extension HistoryVerifier {
    mutating func checkReset(_ event: Event, _ attributes: JSONObject) {
        if event.kind == .operatorAction, attributes["action"]?.stringValue == "reset", !attributes.has("refused") {
            resetAskedFor = attributes["to"]?.integerValue
        }
        guard event.kind == .runReset else { return }
        guard let to = attributes["to"]?.integerValue, to > 0, to < event.seq, !resets.passesOver(to) else {
            return wrong(event, .reset, "The run is reset to an event that there is not, or that was passed over before.")
        }
        if resetAskedFor != to { wrong(event, .reset, "Nobody has asked for a reset to event \(to).") }
        resetAskedFor = nil
        checkSettled(event, to)
        checkUndoOrder()
        undoStarts = []
        for (subject, step) in steps where step.lastSeq > to {
            let isUndone = undos[subject]?.happened != nil
            if isUndone, let happened = step.happened, happened.seq <= to {
                wrong(event, .reset, "'\(subject)' had happened by event \(to) and was undone since.")
            }
            steps[subject] = step.passedOver(isUndone: isUndone, to: to)
        }
        for (subject, child) in children {
            if child.startedAt <= to, child.run != nil, child.happened.map({ $0.seq > to }) ?? false,
                undos[subject]?.happened != nil
            {
                wrong(event, .reset, "Child '\(subject)' was there by event \(to) and was undone since.")
            }
            // The code does not know any more that it gave up one that it still waits for.
            let isOfPassedPart = child.run == nil ? child.lastSeq > to : child.startedAt > to
            if child.lastSeq > to { children[subject]?.happened?.isAdopted = true }
            if isOfPassedPart { children[subject] = child.passedOver } else { children[subject]?.wasToldToEnd = false }
        }
        for (subject, undo) in undos where undo.lastSeq > to { undos[subject] = nil }
        resets.add(event, attributes)
    }

    private mutating func checkSettled(_ event: Event, _ to: Int64) {
        for (what, tracks) in [("step", steps), ("undo of", undos)] {
            for step in tracks.values.sorted(by: { $0.subject < $1.subject }) where step.isUnsettled {
                wrong(
                    event, .unsettled, "The run is reset while \(what) '\(step.subject)' has no outcome (event \(step.lastSeq)).")
            }
        }
        for (subject, child) in children.sorted(by: { $0.key < $1.key }) where child.isOpen && child.startedAt > to {
            wrong(event, .child, "The run is reset while child '\(subject)' has no end (event \(child.startedAt)).")
        }
    }

    /// What is begun again after a reset has a generation of its own, also where one reset has passed over another. With a business key it
    /// is the key's.
    mutating func checkGeneration(_ event: Event, _ attributes: JSONObject, _ step: inout VerifiedStep) {
        step.lastStepSeq = event.seq
        guard event.kind == .stepIntended || event.input != nil, !attributes.has("business_key"), !attributes.has("adopted_from"),
            attributes["code"]?.stringValue != StepFailure.keyConflict
        else { return }
        let generation = Int(attributes["generation"]?.integerValue ?? 0)
        if let before = step.generationBeforeReset, generation <= before, event.kind != .stepCancelled {
            wrong(
                event, .reset,
                "'\(step.subject)' is done once more after a reset, under generation \(generation), which it had before.")
        }
        step.generationBeforeReset = nil
        step.generation = max(step.generation, generation)
    }

    /// Something that happened before a reset has a key of its own when it is done again.
    mutating func checkKey(_ event: Event, _ attributes: JSONObject, _ step: inout VerifiedStep) {
        let key = attributes["key"]?.stringValue
        if let key, key == step.keyBeforeReset, !attributes.has("business_key") {
            wrong(event, .reset, "'\(step.subject)' had happened before the run was reset and is sent again under the same key.")
        }
        step.key = key
    }
}

extension VerifiedStep {
    /// The step as what follows the reset finds it: it may be done again, or its outcome adopted and undone.
    fileprivate func passedOver(isUndone: Bool, to: Int64) -> VerifiedStep {
        var step = VerifiedStep(subject: subject)
        (step.lastSeq, step.lastStepSeq, step.generation) = (lastSeq, lastStepSeq, generation)
        step.generationBeforeReset = lastStepSeq > to ? generation : generationBeforeReset
        step.happened = isUndone ? nil : happened
        step.happened?.isAdopted = true
        step.keyBeforeReset = happened == nil ? keyBeforeReset : key ?? keyBeforeReset
        return step
    }
}

extension VerifiedChild {
    fileprivate var passedOver: VerifiedChild {
        var child = VerifiedChild()
        child.happened = happened
        child.happened?.isAdopted = true
        return child
    }
}
