public import Foundation
public import Perdure
import PerdureHistory
package import PerdureStore

/// A run as its row shows it.
public struct RunInfo: Sendable, Hashable {
    /// The run's public id.
    public let id: RunID
    /// The tenant it belongs to.
    public let namespace: String
    /// The name of its workflow.
    public let workflow: String
    /// The version whose code carries it: the one it was started on, unless it was pinned to another since.
    public let version: String
    /// The key it was started with, if any.
    public let key: String?
    /// `queued`, `ready`, `running`, `waiting`, `blocked`, `parked`, `paused`, `quarantined`, `completed`, `continued`, `failed`, `cancelled` or
    /// `terminated`.
    public let state: String
    /// Whether the run has ended, however it did.
    public let isClosed: Bool
    /// When it was started.
    public let createdAt: Date
    /// When it becomes due by itself at the latest, while it waits and nobody holds it; `nil` if it waits for messages only.
    public let wakeAt: Date?
    /// When it ended, if it has.
    public let closedAt: Date?
    /// When its history was removed, if it was. Then there is no result to read any more.
    public let expiredAt: Date?
    /// Why the run is blocked, parked, paused or quarantined.
    public let note: String?
    /// The run that this one was continued as, if it was. `Client.latest(of:)` gives the last one.
    public let continuedAs: RunID?

    package init(_ record: RunRecord) {
        id = record.id
        namespace = record.namespace
        workflow = record.workflow
        version = record.version
        key = record.key
        state = record.stateName
        isClosed = record.state.isFinal
        createdAt = record.createdAt.date
        wakeAt = record.wakeAt?.date
        closedAt = record.closedAt?.date
        expiredAt = record.tombstone?.expiredAt.date
        note = record.note
        continuedAs = record.successor
    }
}

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

    /// It happened, with this result, which has to be of the step's type.
    ///
    /// - Throws: `PerdureError` with `value_not_encodable` or `payload_too_large`.
    public static func happened(encoding result: some Encodable) throws -> StepResolution {
        .happened(result: try encoded(result))
    }

    /// It happened, with this result, which has to be of the step's type, and is undone now.
    ///
    /// - Throws: `PerdureError` with `value_not_encodable` or `payload_too_large`.
    public static func undo(encoding result: some Encodable) throws -> StepResolution { .undo(result: try encoded(result)) }

    private static func encoded(_ result: some Encodable) throws -> Data {
        do {
            return Data(try Payload.encode(result, what: "the result of a step").bytes)
        } catch {
            throw PerdureError(error)
        }
    }
}

extension PendingApproval {
    init(_ request: OpenRequest) throws {
        let attributes = try request.event.attributes.object()
        self.init(
            run: request.run.id, step: request.event.subject, view: Data(try request.event.inputBytes()),
            digest: attributes["view_digest"]?.stringValue ?? "", approver: attributes["approver"]?.stringValue ?? "",
            requestedAt: request.event.at.date, expiresAt: attributes.timestamp("expires_at")?.date)
    }
}

extension PendingQuestion {
    init(_ request: OpenRequest) throws {
        let attributes = try request.event.attributes.object()
        let text = try JSONValue.parse(try request.event.inputBytes(), what: "a question").stringValue
        self.init(
            run: request.run.id, name: request.event.subject, text: text ?? "",
            approver: attributes["approver"]?.stringValue ?? "", expiresAt: attributes.timestamp("expires_at")?.date)
    }
}
