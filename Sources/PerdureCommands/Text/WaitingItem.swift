internal import Perdure
internal import PerdureEngine
package import PerdureHistory
internal import PerdureStore

/// Something that only a person can move.
package struct WaitingItem: Sendable, Hashable {
    /// `approval`, `question`, `in_doubt`, `dead_letter` or `parked`.
    package var kind: String
    package var run: String
    package var workflow: String
    package var subject: String
    package var title: String
    package var details: String
    package var approver: String?
    package var digest: String?
    package var expires: Timestamp?
    package var commands: [[String]]
}

extension WaitingItem {
    init(_ request: OpenRequest) {
        let run = request.run.id.description, subject = request.event.subject
        let attributes = (try? request.event.attributes.object()) ?? JSONObject()
        let isApproval = request.event.kind == .approvalRequested
        let value = ValueText.json(request.event.input)
        self.init(
            kind: isApproval ? "approval" : "question", run: run, workflow: request.run.workflow, subject: subject,
            title: "\(isApproval ? "Approval of" : "Question") '\(subject)' in \(request.run.workflow)",
            details: isApproval
                ? "input \(value?["input"]?.canonicalText ?? "unknown")" : value?.stringValue ?? "",
            approver: attributes["approver"]?.stringValue, digest: attributes["view_digest"]?.stringValue,
            expires: ValueText.time(attributes, "expires_at"),
            commands: isApproval
                ? [["approve", run, subject], ["deny", run, subject, "--reason", "WHY"]]
                : [["answer", run, subject, "--value", "JSON"]])
    }

    /// A parked run whose history cannot be read, so that nobody can say what of it waits.
    static func unreadable(_ run: RunRecord, _ message: String) -> WaitingItem {
        let id = run.id.description
        return WaitingItem(
            kind: "parked", run: id, workflow: run.workflow, subject: "", title: "Parked run of \(run.workflow)",
            details: [run.note, "its history cannot be read: \(message)"].compactMap { $0 }.joined(separator: " – "),
            commands: [["verify", id]])
    }

    static func parked(_ run: RunRecord, _ view: RunView) -> [WaitingItem] {
        let id = run.id.description
        let steps = view.stuckSteps.map { step in
            let name = "\(step.isUndo ? "undo of " : "")'\(step.subject)'"
            return WaitingItem(
                kind: step.isInDoubt ? "in_doubt" : "dead_letter", run: id, workflow: run.workflow, subject: step.subject,
                title: "\(step.isInDoubt ? "In doubt" : "Stuck"): \(name) in \(run.workflow)",
                details: [step.isInDoubt ? RunExplanation.reason(step.doubt) : "its attempts are used up", step.message ?? ""]
                    .filter { !$0.isEmpty }.joined(separator: " – "),
                commands: [["explain", id]])
        }
        guard steps.isEmpty else { return steps }
        return [
            WaitingItem(
                kind: "parked", run: id, workflow: run.workflow, subject: "", title: "Parked run of \(run.workflow)",
                details: run.note ?? view.parkedReason ?? "", commands: [["explain", id], ["retry", id]])
        ]
    }
}
