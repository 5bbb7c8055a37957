internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    private static let one = SQL("SELECT \(ScheduleRow.columns) FROM schedules WHERE namespace = ?1 AND id = ?2")
    private static let put = SQL(
        """
        INSERT INTO schedules (namespace, id, version, due_at, document) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (namespace, id) DO UPDATE SET version = excluded.version, due_at = excluded.due_at, document = excluded.document
        """)
    private static let remove = SQL("DELETE FROM schedules WHERE namespace = ?1 AND id = ?2")

    /// Changes a schedule and begins its runs, or does nothing.
    func schedule(_ change: ScheduleChange, _ session: Session) throws -> CommitResult {
        if let flaw = change.flaw { return .refused(.invalid(flaw)) }
        let key = change.key
        switch change.standing(on: try session.first(Self.one, key.namespace, key.id) { try ScheduleRow($0) }) {
        case .applied: return .scheduled
        case .overtaken: return .refused(.conflict)
        case .open: break
        }
        // What was due may have been started in what is lost.
        if !change.starts.isEmpty, try session.isHeld { return .refused(.conflict) }
        for start in change.starts {
            let record = start.record
            if let key = record.key,
                let holder = try session.run(namespace: record.namespace, workflow: record.workflow, key: key)
            {
                return .keyTaken(holder)
            }
            if try session.run(record.id) != nil {
                return .refused(.invalid("the run id \(record.id) belongs to another run"))
            }
            if let refusal = try session.unsaidLoss(in: start, now: now) { return .refused(refusal) }
            if let place = start.place, try session.queue(place.name, in: record.namespace) == nil {
                return .refused(.queueUnknown(place.name))
            }
        }
        if !change.starts.isEmpty, var use = try session.quotaUse(of: key.namespace) {
            if let refusal = use.take(change.starts, now: now) { return .refused(.quotaExceeded(refusal)) }
            try session.keep(use)
        }
        if let row = change.row {
            try session.execute(Self.put, key.namespace, key.id, row.version, row.dueAt, row.document)
        } else {
            try session.execute(Self.remove, key.namespace, key.id)
        }
        for start in change.starts {
            guard case .created = try create(start, session) else { throw BadRow("the run \(start.record.id) cannot be made") }
        }
        // What is addressed to a run that is gone has nobody to be told to.
        for delivery in change.deliveries { _ = try session.deliver(delivery, now: now) }
        return .scheduled
    }
}
