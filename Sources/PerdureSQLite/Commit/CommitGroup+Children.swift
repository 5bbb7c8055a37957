internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    private static let firstEvent = SQL("SELECT \(Event.columns) FROM events WHERE run = ?1 AND seq = 1")

    /// What a child of an advance can be refused for, before anything of the advance is written.
    func refusal(of child: NewRun, _ session: Session) throws -> CommitRefusal? {
        guard let first = child.events.first, first.seq == 1, Session.areInSequence(child.events) else {
            return .invalid("a child needs its first event, and the others in sequence")
        }
        guard child.record.owner == nil, child.record.key == nil, !child.record.state.isFinal, child.record.state != .queued,
            child.place == nil
        else {
            return .invalid("a child begins open, without an owner, without a key and without a place in a queue")
        }
        guard let existing = try session.run(child.record.id) else { return nil }
        let begin = try session.first(Self.firstEvent, existing.number) { try Event($0, run: existing.number) }
        guard existing.namespace == child.record.namespace, existing.workflow == child.record.workflow,
            let begin, child.isSameChild(asRunStartedBy: begin)
        else { return .invalid("the run id \(child.record.id) belongs to another run") }
        return nil
    }

    /// Makes the child, unless it exists.
    func start(_ child: NewRun, _ session: Session) throws {
        if try session.run(child.record.id) != nil { return }
        guard case .created = try create(child, session) else { throw BadRow("the child \(child.record.id) cannot be made") }
    }
}
