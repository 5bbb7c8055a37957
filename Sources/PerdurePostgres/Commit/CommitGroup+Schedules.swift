internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    /// Changes a schedule and begins its runs, or does nothing.
    func schedule(_ change: ScheduleChange) throws -> CommitResult {
        if let flaw = change.flaw { return .refused(.invalid(flaw)) }
        switch change.standing(on: facts.schedules[change.key]) {
        case .applied: return .scheduled
        case .overtaken: return .refused(.conflict)
        case .open: break
        }
        // What was due may have been started in what is lost.
        if facts.isHeld, !change.starts.isEmpty { return .refused(.conflict) }
        for start in change.starts {
            let record = start.record
            if let key = record.key,
                let holder = facts.keyed[WorkflowKey(namespace: record.namespace, workflow: record.workflow, key: key)]
            {
                return .keyTaken(holder)
            }
            if facts.numbers[record.id] != nil {
                return .refused(.invalid("the run id \(record.id) belongs to another run"))
            }
            if let refusal = facts.unsaidLoss(in: start) { return .refused(refusal) }
            if let place = start.place, facts.queues[QueueKey(namespace: record.namespace, name: place.name)] == nil {
                return .refused(.queueUnknown(place.name))
            }
        }
        if !change.starts.isEmpty, var use = facts.quotas[change.key.namespace] {
            if let refusal = use.take(change.starts, now: facts.now) { return .refused(.quotaExceeded(refusal)) }
            facts.quotas[change.key.namespace] = use
        }
        facts.schedules[change.key] = change.row
        writes.changeSchedule(change.key)
        for start in change.starts {
            guard case .created = try create(start) else { throw BadRow("the run \(start.record.id) cannot be made") }
        }
        // What is addressed to a run that is gone has nobody to be told to.
        for delivery in change.deliveries { _ = try deliver(delivery) }
        news.ringAll()
        return .scheduled
    }
}

extension CommitFacts {
    private static let lockSchedules = SQL(
        """
        SELECT \(ScheduleRow.columns) FROM perdure.schedules
        WHERE (namespace, id) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY namespace, id FOR NO KEY UPDATE
        """)

    /// Holds the rows against everybody else who fires or changes these schedules.
    func lockSchedules(_ keys: Set<ScheduleKey>, _ pipe: Pipeline) throws {
        if keys.isEmpty { return }
        let keys = keys.sorted()
        try pipe.all(Self.lockSchedules, keys.map(\.namespace), keys.map(\.id)) { [self] row in
            let found = try ScheduleRow(row)
            schedules[found.key] = found
            storedSchedules.insert(found.key)
        }
    }
}

extension CommitWrites {
    private static let remove = SQL(
        """
        DELETE FROM perdure.schedules USING unnest($1::text[], $2::text[]) AS gone (namespace, id)
        WHERE schedules.namespace = gone.namespace AND schedules.id = gone.id
        """)
    private static let update = SQL(
        """
        UPDATE perdure.schedules SET version = new.version, due_at = new.due_at, document = new.document
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS new (namespace, id, version, due_at, document)
        WHERE schedules.namespace = new.namespace AND schedules.id = new.id
        """)
    private static let insert = SQL(
        """
        INSERT INTO perdure.schedules (namespace, id, version, due_at, document)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[])
        """)

    /// Nobody else could change a row that was there, since it is locked. One that somebody else has made meanwhile is an error, and
    /// everything is looked at again.
    func sendSchedules(_ facts: CommitFacts, _ pipe: Pipeline) throws {
        let changed = changedSchedules.sorted()
        if changed.isEmpty { return }
        let rows = changed.compactMap { facts.schedules[$0] }, gone = changed.filter { facts.schedules[$0] == nil }
        if !gone.isEmpty { try pipe.execute(Self.remove, gone.map(\.namespace), gone.map(\.id)) }
        for (sql, rows) in [
            (Self.update, rows.filter { facts.storedSchedules.contains($0.key) }),
            (Self.insert, rows.filter { !facts.storedSchedules.contains($0.key) }),
        ] where !rows.isEmpty {
            try pipe.execute(
                sql, rows.map(\.key.namespace), rows.map(\.key.id), rows.map(\.version), rows.map(\.dueAt), rows.map(\.document))
        }
    }
}
