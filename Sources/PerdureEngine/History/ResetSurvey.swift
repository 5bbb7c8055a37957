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
        /// It had completed before an earlier reset and answers again since then, which no event says: by the point or after it.
        package var isAdopted = false
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
            guard let seq = step.completedAt, step.undoneAt == nil, seq > request.to || step.adoptedAt != nil else { return nil }
            return ResetSurvey.Item(
                subject: step.subject, seq: seq, isChild: false, isAdopted: seq <= request.to,
                choice: step.canBecome(request.choice(for: step.subject)))
        }
        let ended = children.compactMap { child -> ResetSurvey.Item? in
            guard let seq = child.completedAt, child.undoneAt == nil, isCurrent(child),
                child.startedAt > request.to || child.adoptedAt != nil
            else { return nil }
            return ResetSurvey.Item(
                subject: child.subject, seq: seq, isChild: true, isAdopted: child.startedAt <= request.to,
                choice: child.canBecome(request.choice(for: child.subject)))
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
            let stands = child.completedAt == nil ? nil : child.startedAt
            if let problem = problem(of: request, child.subject, stands, child.undoneAt) { return problem }
        }
        return nil
    }

    /// The code at the point takes for granted what has been undone since.
    private func problem(of request: ResetRequest, _ subject: String, _ stands: Int64?, _ undone: Int64?) -> String? {
        guard let stands, stands <= request.to else { return nil }
        let isBeingUndone = undo(subject).map { !$0.isOver } ?? false
        guard isBeingUndone || undone.map({ $0 > request.to }) ?? false else { return nil }
        return ResetProblem.undone(subject, stands: stands)
    }
}

extension RunView.Child {
    func canBecome(_ choice: ResetChoice) -> ResetChoice { choice == .undo && irreversible != nil ? .adopt : choice }
}

extension RunView.Step {
    /// What becomes of it: not everything can be undone, and what has a business key is done once.
    func canBecome(_ choice: ResetChoice) -> ResetChoice {
        let isRead = effect == EffectKind.read.name
        switch choice {
        case .adopt: return .adopt
        case .undo where isRead: return .keep
        case .undo: return irreversible == nil && adoptedFrom == nil ? .undo : .adopt
        case .keep: return businessKey == nil && adoptedFrom == nil ? .keep : .adopt
        }
    }
}
