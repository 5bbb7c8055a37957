public import Foundation
public import Perdure
import PerdureHistory
package import PerdureStore

/// A run as its row shows it.
public struct RunInfo: Sendable, Hashable {
    public let id: RunID
    public let namespace: String
    public let workflow: String
    public let version: String
    public let key: String?
    /// `ready`, `running`, `waiting`, `blocked`, `parked`, `paused`, `quarantined`, `completed`, `failed`, `cancelled` or `terminated`.
    public let state: String
    public let isClosed: Bool
    public let createdAt: Date
    public let closedAt: Date?
    /// Why the run is blocked, parked, paused or quarantined.
    public let note: String?

    package init(_ record: RunRecord) {
        id = record.id
        namespace = record.namespace
        workflow = record.workflow
        version = record.version
        key = record.key
        state = record.state.rawValue
        isClosed = record.state.isFinal
        createdAt = record.createdAt.date
        closedAt = record.closedAt?.date
        note = record.note
    }
}

/// An approval that waits for a decision, with exactly what is to be shown to whoever decides.
public struct PendingApproval: Sendable, Hashable {
    public let run: RunID
    /// The step as history names it.
    public let step: String
    /// The canonical call as JSON: what the person decides on.
    public let view: Data
    /// Binds a decision to this view.
    public let digest: String
    /// Who may decide, as the workflow declared.
    public let approver: String
    public let requestedAt: Date
    public let expiresAt: Date?
}

/// A question that waits for an answer.
public struct PendingQuestion: Sendable, Hashable {
    public let run: RunID
    public let name: String
    public let text: String
    public let approver: String
    public let expiresAt: Date?
}

/// How a person clears up a step in doubt or a dead letter.
public enum StepResolution: Sendable, Hashable {
    /// It happened, with this result (JSON; nothing for `act`).
    case happened(result: Data?)
    /// It did not happen and will not: it is tried again.
    case didNotHappen
    /// It happened, with this result, and is undone now.
    case undo(result: Data?)
    /// It did not happen and will not; the run fails and undoes what it did before.
    case abort
}
