internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    // Says nothing and changes nothing if the id or the key is taken; everything else that is wrong is an error.
    private static let insert = SQL(
        """
        INSERT INTO runs (id, namespace, workflow, version, key, input_digest, salt, state, epoch, owner, wake_at, since, created_at,
            closed_at, note, origin, origin_salt, origin_digest, queue, is_admitted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
        ON CONFLICT DO NOTHING
        """)

    /// Makes a run that somebody starts, if the quotas of its namespace leave room for it. One that was made before is only found.
    func begin(_ run: NewRun, _ session: Session) throws -> CommitResult {
        let record = run.record
        if let refusal = try session.unsaidLoss(in: run, now: now), let first = run.events.first {
            let found = try existing(record, first: first, session)
            if case .refused(.conflict) = found { return .refused(refusal) }
            return found
        }
        guard var use = try session.quotaUse(of: record.namespace), let first = run.events.first else {
            return try create(run, session)
        }
        let found = try existing(record, first: first, session)
        guard case .refused(.conflict) = found else { return found }
        if let refusal = use.take([run], now: now) { return .refused(.quotaExceeded(refusal)) }
        let result = try create(run, session)
        if case .created = result { try session.keep(use) }
        return result
    }

    /// - Parameter queue: that of the run that it continues, whose place it takes over.
    func create(_ run: NewRun, _ session: Session, inheriting queue: Int64? = nil) throws -> CommitResult {
        guard let first = run.events.first, first.seq == 1, Session.areInSequence(run.events) else {
            return .refused(.invalid("a new run needs its first event, and the others in sequence"))
        }
        if let flaw = run.flawOfPlace { return .refused(.invalid(flaw)) }
        var record = run.record
        record.queue = queue
        record.isAdmitted = run.place == nil
        if let place = run.place {
            record.queue = try session.queue(place.name, in: record.namespace)
            // Made before, or its key is taken: then there is no place to be found.
            if record.queue == nil {
                let answer = try existing(record, first: first, session)
                if case .refused(.conflict) = answer { return .refused(.queueUnknown(place.name)) }
                return answer
            }
        }
        // An owner that is not this node would be one that nobody can tell dead from alive.
        guard record.owner == nil || (isEngine && record.owner == node) else { return .refused(.conflict) }
        // Nobody begins anything now: whoever hosts it takes it on later.
        if record.owner != nil, try session.isHeld { (record.owner, record.state) = (nil, .ready) }
        let inserted = try session.execute(
            Self.insert, record.id.description, record.namespace, record.workflow, record.version, record.key, record.inputDigest,
            record.salt, record.state, record.epoch, record.owner, record.wakeAt, record.createdAt, record.createdAt,
            record.closedAt,
            record.note, record.origin?.run.description, record.origin?.salt, record.origin?.inputDigest,
            record.queue, record.isAdmitted)
        guard inserted == 1 else { return try existing(record, first: first, session) }
        record.number = session.lastInsertedRow
        try session.append(run.events, to: record.number)
        if record.state.isFinal { try session.forget(record.number) }
        if let place = run.place, let queue = record.queue {
            try session.enter(record.number, queue, place, deadline: record.wakeAt)
        }
        return .created(record)
    }

    /// The id or the key is there already: the same call again, or another run.
    private func existing(_ record: RunRecord, first: Event, _ session: Session) throws -> CommitResult {
        if let same = try session.run(record.id) {
            guard try session.hash(of: same.number, seq: 1) == first.hash else {
                return .refused(.invalid("the run id \(record.id) belongs to another run"))
            }
            return .created(same)
        }
        if let key = record.key,
            let holder = try session.run(namespace: record.namespace, workflow: record.workflow, key: key)
        {
            return .keyTaken(holder)
        }
        return .refused(.conflict)
    }
}
