import Perdure
import PerdureHistory

/// What a reset would mean for a run as its history stands.
package struct ResetSurvey: Sendable {
    /// A step or child that completed after the point.
    package struct Item: Sendable, Hashable {
        package var subject: String
        /// The event since which it counts as done.
        package var seq: Int64
        package var isChild: Bool
        /// What becomes of it, where what was asked for cannot be.
        package var choice: ResetChoice
    }

    /// Why it cannot be done; nil if it can.
    package var problem: String?
    /// In the order in which they completed.
    package var completed: [Item] = []
    /// Children that were started after the point and have not ended.
    package var openChildren: [String] = []
}

extension RunView {
    package func survey(of request: ResetRequest) -> ResetSurvey {
        var survey = ResetSurvey(problem: problem(of: request))
        survey.openChildren = children.filter { $0.isOpen && $0.startedAt > request.to }.map(\.subject)
        let steps = currentSteps.compactMap { step -> ResetSurvey.Item? in
            guard let seq = step.completedAt, seq > request.to, step.undoneAt == nil else { return nil }
            let choice = request.choice(for: step.subject)
            return ResetSurvey.Item(subject: step.subject, seq: seq, isChild: false, choice: step.canBecome(choice))
        }
        let ended = children.compactMap { child -> ResetSurvey.Item? in
            guard let seq = child.completedAt, child.startedAt > request.to, child.undoneAt == nil, isCurrent(child) else {
                return nil
            }
            let choice = request.choice(for: child.subject)
            let isKept = choice == .undo && child.irreversible != nil
            return ResetSurvey.Item(subject: child.subject, seq: seq, isChild: true, choice: isKept ? .adopt : choice)
        }
        survey.completed = (steps + ended).sorted { $0.seq < $1.seq }
        return survey
    }

    private func problem(of request: ResetRequest) -> String? {
        guard let last, request.to >= 1, request.to < last.seq else { return ResetProblem.noSuchEvent }
        if isCopy(request.to) { return ResetProblem.copied }
        if standing.resets.passesOver(request.to) { return ResetProblem.passedOver }
        for step in currentSteps {
            if let problem = problem(of: request, step.subject, step.completedAt, step.undoneAt) { return problem }
        }
        for child in children where isCurrent(child) {
            if let problem = problem(of: request, child.subject, child.completedAt, child.undoneAt) { return problem }
        }
        return nil
    }

    /// The code at the point takes for granted what has been undone since.
    private func problem(of request: ResetRequest, _ subject: String, _ completed: Int64?, _ undone: Int64?) -> String? {
        guard let completed, completed <= request.to else { return nil }
        let isBeingUndone = undo(subject).map { !$0.isOver } ?? false
        guard isBeingUndone || undone.map({ $0 > request.to }) ?? false else { return nil }
        return ResetProblem.undone(subject, completed: completed)
    }
}

extension RunView.Step {
    /// What becomes of it: not everything can be undone, and what has a business key is done once.
    fileprivate func canBecome(_ choice: ResetChoice) -> ResetChoice {
        let isRead = effect == EffectKind.read.name
        switch choice {
        case .adopt: return .adopt
        case .undo where isRead: return .keep
        case .undo: return irreversible == nil && adoptedFrom == nil ? .undo : .adopt
        case .keep: return businessKey == nil && adoptedFrom == nil ? .keep : .adopt
        }
    }
}
