/// One exact moment at which the engine's process is to die.
package struct CrashRule: Codable, Sendable {
    /// What the engine is doing at that moment.
    package enum Moment: String, Codable, Sendable {
        /// About to commit an event.
        case beforeCommit
        /// Has committed an event, and nobody has been told.
        case afterCommit
        /// A request is on the wire, and its answer is not.
        case sent
        /// The answer is here, and nothing is recorded.
        case answered
        /// A run of a dead process has been taken over, and nothing was done with it.
        case takeover
    }

    package var boundary: Boundary
    package var moment: Moment
    /// The kind of the event for the commits, the method and path for requests; a beginning is enough.
    package var what: String
    /// The subject of the event; a beginning is enough.
    package var subject: String
    /// Only runs of this workflow; empty for all.
    package var workflow: String
    /// The how manieth time.
    package var count: Int

    package init(
        _ boundary: Boundary, _ moment: Moment, _ what: String = "", subject: String = "", workflow: String = "", count: Int = 1
    ) {
        self.boundary = boundary
        self.moment = moment
        self.what = what
        self.subject = subject
        self.workflow = workflow
        self.count = count
    }
}
