package import PerdureHistory

/// A sign of life of an attempt that is under way, from the owner of its run. It is no event: it stands beside the history until the
/// step is settled.
package struct Heartbeat: Sendable, Hashable {
    package var run: Int64
    /// The epoch under which the sender owns the run.
    package var epoch: Int64
    package var subject: String
    /// Whether it comes from the undo of the step.
    package var isUndo: Bool
    /// Canonical JSON; `nil` leaves those from before.
    package var details: [UInt8]?

    package init(run: Int64, epoch: Int64, subject: String, isUndo: Bool = false, details: [UInt8]?) {
        self.run = run
        self.epoch = epoch
        self.subject = subject
        self.isUndo = isUndo
        self.details = details
    }
}

/// The latest sign of life of a step or undo, as the store keeps it.
package struct HeartbeatRecord: Sendable, Hashable {
    package var subject: String
    package var isUndo: Bool
    /// When the store took it in.
    package var at: Timestamp
    package var details: [UInt8]?

    package init(subject: String, isUndo: Bool, at: Timestamp, details: [UInt8]?) {
        self.subject = subject
        self.isUndo = isUndo
        self.at = at
        self.details = details
    }
}
