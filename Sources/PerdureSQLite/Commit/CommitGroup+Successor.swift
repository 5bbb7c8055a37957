internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    private static let close = SQL("UPDATE runs SET successor = ?2, key = NULL WHERE number = ?1")

    /// What a successor can be refused for, before anything of the advance is written.
    func refusal(of successor: NewRun, after advance: RunAdvance, _ session: Session) throws -> CommitRefusal? {
        guard let first = successor.events.first, first.seq == 1, Session.areInSequence(successor.events) else {
            return .invalid("a successor needs its first event, and the others in sequence")
        }
        guard advance.transition?.state == .completed, advance.events.last?.kind == .runContinued else {
            return .invalid("only a run that closes as continued has a successor")
        }
        let record = successor.record
        guard record.owner == nil, !record.state.isFinal, let run = try session.run(advance.run),
            record.namespace == run.namespace, record.workflow == run.workflow, record.key == run.key, record.origin == run.chain
        else { return .invalid("a successor begins open and without an owner, and has the workflow, key and origin of its run") }
        guard successor.place == nil, record.state != .queued else {
            return .invalid("a successor takes the place of its run over, and no other one")
        }
        if try session.run(record.id) != nil { return .invalid("the run id \(record.id) belongs to another run") }
        return nil
    }

    /// Hands the key and the place over and makes the successor.
    func start(_ successor: NewRun, after run: Int64, _ queue: QueueFacts, _ session: Session) throws {
        try session.execute(Self.close, run, successor.record.id.description)
        guard case .created(let made) = try create(successor, session, inheriting: queue.queue) else {
            throw BadRow("the successor \(successor.record.id) cannot be made")
        }
        if queue.queue != nil { try session.handOver(placeOf: run, to: made.number) }
    }
}
