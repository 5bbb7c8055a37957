public import Foundation
public import Perdure
import PerdureHistory
package import PerdureStore

/// An approval that waits for a decision, with exactly what is to be shown to whoever decides.
public struct PendingApproval: Sendable, Hashable {
    /// The run whose action waits.
    public let run: RunID
    /// The step as history names it.
    public let step: String
    /// The canonical call as JSON: what the person decides on.
    public let view: Data
    /// Binds a decision to this view.
    public let digest: String
    /// Who may decide, as the workflow declared.
    public let approver: String
    /// When it was asked for.
    public let requestedAt: Date
    /// When nobody having decided becomes a denial.
    public let expiresAt: Date?
}

/// A question that waits for an answer.
public struct PendingQuestion: Sendable, Hashable {
    /// The run that asks.
    public let run: RunID
    /// The question as history names it.
    public let name: String
    /// What the person reads.
    public let text: String
    /// Who may answer, as the workflow declared.
    public let approver: String
    /// When the run stops waiting for an answer, if it does.
    public let expiresAt: Date?
}

extension PendingApproval {
    package init(_ request: OpenRequest) throws {
        let attributes = try request.event.attributes.object()
        self.init(
            run: request.run.id, step: request.event.subject, view: Data(try request.event.inputBytes()),
            digest: attributes["view_digest"]?.stringValue ?? "", approver: attributes["approver"]?.stringValue ?? "",
            requestedAt: request.event.at.date, expiresAt: attributes.timestamp("expires_at")?.date)
    }
}

extension PendingQuestion {
    package init(_ request: OpenRequest) throws {
        let attributes = try request.event.attributes.object()
        let text = try JSONValue.parse(try request.event.inputBytes(), what: "a question").stringValue
        self.init(
            run: request.run.id, name: request.event.subject, text: text ?? "",
            approver: attributes["approver"]?.stringValue ?? "", expiresAt: attributes.timestamp("expires_at")?.date)
    }
}
