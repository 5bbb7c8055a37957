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
    /// `queued`, `ready`, `running`, `waiting`, `blocked`, `parked`, `paused`, `quarantined`, `completed`, `continued`, `failed`,
    /// `cancelled` or `terminated`.
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
