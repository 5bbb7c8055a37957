internal import Perdure
internal import PerdureHistory
internal import PerdureStore

// Every table in one statement, and all statements in one round trip.
extension CommitWrites {
    private static let updateRuns = SQL(
        """
        UPDATE perdure.runs SET state = new.state, owner = new.owner, wake_at = new.wake_at, note = new.note, since = new.since,
            closed_at = new.closed_at, needs_retry = new.needs_retry, version = new.version, key = new.key,
            successor = new.successor::uuid
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::boolean[],
            $9::text[], $10::text[], $11::text[])
            AS new (number, state, owner, wake_at, note, since, closed_at, needs_retry, version, key, successor)
        WHERE runs.number = new.number
        """)
    private static let insertRuns = SQL(
        """
        INSERT INTO perdure.runs (number, state, owner, wake_at, note, since, closed_at, needs_retry, version, key, successor,
            id, namespace, workflow, input_digest, salt, epoch, created_at, origin, origin_salt, origin_digest, queue, is_admitted)
        SELECT number, state, owner, wake_at, note, since, closed_at, needs_retry, version, key, successor::uuid,
            id::uuid, namespace, workflow, input_digest, salt, epoch, created_at, origin::uuid, origin_salt, origin_digest,
            queue, is_admitted
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::boolean[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[], $17::bigint[],
            $18::bigint[], $19::text[], $20::bytea[], $21::text[], $22::bigint[], $23::boolean[])
            AS new (number, state, owner, wake_at, note, since, closed_at, needs_retry, version, key, successor,
                id, namespace, workflow, input_digest, salt, epoch, created_at, origin, origin_salt, origin_digest, queue,
                is_admitted)
        """)
    private static let insertBlobs = SQL(
        """
        INSERT INTO perdure.blobs (run, digest, content) SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])
        ON CONFLICT DO NOTHING
        """)
    private static let consume = SQL(
        """
        UPDATE perdure.inbox SET consumed = true, payload = sha256(runs.salt || coalesce(inbox.payload, '')) FROM perdure.runs
        WHERE inbox.number = ANY($1::bigint[]) AND NOT consumed AND runs.number = inbox.run
        """)
    private static let insertMessages = SQL(
        """
        INSERT INTO perdure.inbox (run, delivery_id, at, kind, name, payload, sender, consumed)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::boolean[])
        ON CONFLICT (run, delivery_id) DO NOTHING
        """)
    private static let dropWakes = SQL("DELETE FROM perdure.wakes WHERE run = ANY($1::bigint[])")
    private static let addWakes = SQL(
        """
        INSERT INTO perdure.wakes (run, workflow, version, host_at, anyone_at)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
        ON CONFLICT (run) DO UPDATE SET host_at = least(wakes.host_at, excluded.host_at),
            anyone_at = least(wakes.anyone_at, excluded.anyone_at)
        """)
    private static let mark = SQL(
        """
        INSERT INTO perdure.marks (run, kind, subject, seq) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
        ON CONFLICT (run, kind, subject) DO UPDATE SET seq = excluded.seq
        """)
    private static let label = SQL(
        """
        INSERT INTO perdure.labels (run, name, value) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])
        ON CONFLICT (run, name) DO UPDATE SET value = excluded.value
        """)
    private static let endRequests = SQL(
        """
        DELETE FROM perdure.open_requests USING unnest($1::bigint[], $2::text[], $3::text[]) AS ended (run, subject, kind)
        WHERE open_requests.run = ended.run AND open_requests.subject = ended.subject AND open_requests.kind = ended.kind
        """)
    private static let insertRequests = SQL(
        """
        INSERT INTO perdure.open_requests (run, seq, subject, kind)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
        """)
    private static let forgetRequests = SQL("DELETE FROM perdure.open_requests WHERE run = ANY($1::bigint[])")
    private static let forgetWaits = SQL("DELETE FROM perdure.business_key_waiters WHERE run = ANY($1::bigint[])")
    private static let forgetBeats = SQL("DELETE FROM perdure.heartbeats WHERE run = ANY($1::bigint[])")
    private static let endBeats = SQL(
        """
        DELETE FROM perdure.heartbeats USING unnest($1::bigint[], $2::text[], $3::boolean[]) AS ended (run, subject, is_undo)
        WHERE heartbeats.run = ended.run AND heartbeats.subject = ended.subject AND heartbeats.is_undo = ended.is_undo
        """)
    private static let addBeats = SQL(
        """
        INSERT INTO perdure.heartbeats (run, subject, is_undo, at, details)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::bigint[], $5::bytea[])
        ON CONFLICT (run, subject, is_undo) DO UPDATE SET at = excluded.at, details = coalesce(excluded.details, heartbeats.details)
        """)
    private static let unblock = SQL("DELETE FROM perdure.blocked_builds WHERE run = ANY($1::bigint[])")
    private static let block = SQL(
        """
        INSERT INTO perdure.blocked_builds (run, build) SELECT * FROM unnest($1::bigint[], $2::text[]) ON CONFLICT DO NOTHING
        """)
    private static let insertKeys = SQL(
        """
        INSERT INTO perdure.business_keys (namespace, step, key, generation, holder, subject, input_digest, state, output)
        SELECT namespace, step, key, generation, holder::uuid, subject, input_digest, state, output
        FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[])
            AS new (namespace, step, key, generation, holder, subject, input_digest, state, output)
        """)
    private static let updateKeys = SQL(
        """
        UPDATE perdure.business_keys SET generation = new.generation, holder = new.holder::uuid, subject = new.subject,
            input_digest = new.input_digest, state = new.state, output = new.output
        FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[])
            AS new (namespace, step, key, generation, holder, subject, input_digest, state, output)
        WHERE business_keys.namespace = new.namespace AND business_keys.step = new.step AND business_keys.key = new.key
        """)
    private static let dropWaiters = SQL("DELETE FROM perdure.business_key_waiters WHERE key = ANY($1::bigint[])")

    func send(_ facts: CommitFacts, _ pipe: Pipeline) throws {
        if let seq = blobs.missing { throw BadRow("a value of event \(seq) has no bytes that could be stored") }
        try sendRuns(facts, pipe)
        try sendHistory(pipe)
        try sendMessages(facts, pipe)
        try sendBeats(pipe)
        try sendBlocks(pipe)
        try sendKeys(facts, pipe)
        try sendSchedules(facts, pipe)
        if !places.isEmpty { try places.send(pipe) }
        try facts.sendQuotas(pipe)
    }

    /// A key that is handed on is given up before it is taken.
    private func sendRuns(_ facts: CommitFacts, _ pipe: Pipeline) throws {
        let made = Set(created)
        let changed = changed.subtracting(made).sorted().compactMap { facts.runs[$0] }
        if !changed.isEmpty {
            try pipe.execute(
                Self.updateRuns, changed.map(\.record.number), changed.map(\.record.state), changed.map(\.record.owner),
                changed.map(\.record.wakeAt), changed.map(\.record.note), changed.map(\.since), changed.map(\.record.closedAt),
                changed.map(\.needsRetry), changed.map(\.record.version), changed.map(\.record.key),
                changed.map { $0.record.successor?.description })
        }
        let new = created.compactMap { facts.runs[$0] }
        if !new.isEmpty {
            try pipe.execute(
                Self.insertRuns, new.map(\.record.number), new.map(\.record.state), new.map(\.record.owner),
                new.map(\.record.wakeAt), new.map(\.record.note), new.map(\.since), new.map(\.record.closedAt),
                new.map(\.needsRetry), new.map(\.record.version), new.map(\.record.key),
                new.map { $0.record.successor?.description }, new.map(\.record.id.description), new.map(\.record.namespace),
                new.map(\.record.workflow), new.map(\.record.inputDigest), new.map { Bytes($0.record.salt) },
                new.map(\.record.epoch), new.map(\.record.createdAt), new.map { $0.record.origin?.run.description },
                new.map { $0.record.origin.map { Bytes($0.salt) } }, new.map { $0.record.origin?.inputDigest },
                new.map(\.record.queue), new.map(\.record.isAdmitted))
        }
        if !forgotten.isEmpty {
            try pipe.execute(Self.forgetWaits, Array(forgotten))
            try pipe.execute(Self.forgetRequests, Array(forgotten))
        }
    }

    private func sendHistory(_ pipe: Pipeline) throws {
        try events.send(pipe)
        if !blobs.isEmpty { try pipe.execute(Self.insertBlobs, blobs.run, blobs.digest, blobs.content) }
        if !marks.isEmpty {
            let marks = Array(marks)
            try pipe.execute(
                Self.mark, marks.map(\.key.run), marks.map(\.key.kind), marks.map(\.key.subject), marks.map(\.value))
        }
        if !labels.isEmpty {
            let labels = Array(labels)
            try pipe.execute(Self.label, labels.map(\.key.run), labels.map(\.key.name), labels.map(\.value))
        }
        if !endedRequests.isEmpty {
            let ended = Array(endedRequests)
            try pipe.execute(Self.endRequests, ended.map(\.run), ended.map(\.subject), ended.map(\.kind))
        }
        if !requests.isEmpty {
            try pipe.execute(
                Self.insertRequests, requests.map(\.place.run), requests.map(\.seq), requests.map(\.place.subject),
                requests.map(\.place.kind))
        }
    }

    private func sendMessages(_ facts: CommitFacts, _ pipe: Pipeline) throws {
        if !consumed.isEmpty { try pipe.execute(Self.consume, consumed) }
        if !messages.isEmpty {
            try pipe.execute(
                Self.insertMessages, messages.run, messages.id, messages.at, messages.kind, messages.name, messages.payload,
                messages.sender, messages.isConsumed)
        }
        if !renewedWakes.isEmpty { try pipe.execute(Self.dropWakes, Array(renewedWakes)) }
        var times = wakes
        for run in renewedWakes { times[run] = facts.runs[run]?.wakes }
        let wakes = times.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
            .compactMap { run, times in facts.runs[run].map { (run: run, record: $0.record, times: times) } }
        if !wakes.isEmpty {
            try pipe.execute(
                Self.addWakes, wakes.map(\.run), wakes.map(\.record.workflow), wakes.map(\.record.version),
                wakes.map(\.times.host), wakes.map(\.times.anyone))
        }
    }

    private func sendBeats(_ pipe: Pipeline) throws {
        let beatless = beatless
        if !beatless.isEmpty { try pipe.execute(Self.forgetBeats, Array(beatless)) }
        if !endedBeats.isEmpty {
            let ended = Array(endedBeats)
            try pipe.execute(Self.endBeats, ended.map(\.run), ended.map(\.subject), ended.map(\.isUndo))
        }
        if !beats.isEmpty {
            let beats = Array(beats)
            try pipe.execute(
                Self.addBeats, beats.map(\.key.run), beats.map(\.key.subject), beats.map(\.key.isUndo), beats.map(\.value.at),
                beats.map { $0.value.details.map(Bytes.init) })
        }
    }

    private func sendBlocks(_ pipe: Pipeline) throws {
        if !unblocked.isEmpty { try pipe.execute(Self.unblock, Array(unblocked)) }
        if !blocked.isEmpty { try pipe.execute(Self.block, blocked.map(\.run), blocked.map(\.build)) }
    }

    private func sendKeys(_ facts: CommitFacts, _ pipe: Pipeline) throws {
        if !toldKeys.isEmpty { try pipe.execute(Self.dropWaiters, toldKeys) }
        // In one order, as everybody does it: keys that are taken for the first time have no row that could have been locked.
        let changed = facts.keys.filter(\.value.isChanged).sorted { $0.key < $1.key }.map(\.value)
        for (sql, keys) in [
            (Self.insertKeys, changed.filter { $0.number == nil }), (Self.updateKeys, changed.filter { $0.number != nil }),
        ] where !keys.isEmpty {
            let records = keys.map(\.record)
            try pipe.execute(
                sql, records.map(\.key.namespace), records.map(\.key.step), records.map(\.key.key), records.map(\.generation),
                records.map(\.holder.description), records.map(\.subject), records.map(\.inputDigest),
                records.map(\.outcome.name), records.map { $0.outcome.output.map(Bytes.init) })
        }
    }
}

extension EventColumns {
    static let names = """
        run, seq, at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash
        """
    private static let types = [
        "bigint", "bigint", "bigint", "text", "text", "text", "bytea", "bigint", "bytea", "bigint", "bigint", "text", "bytea",
    ]
    private static let insert = SQL("INSERT INTO perdure.events (\(names)) SELECT \(names) FROM \(rows(from: 1))")

    /// The columns as they are sent, from this value of a statement on, in the order of their names.
    static func rows(from first: Int) -> String {
        let arrays = types.enumerated().map { "$\(first + $0.offset)::\($0.element)[]" }.joined(separator: ", ")
        return "unnest(\(arrays)) AS new (\(names))"
    }

    func send(_ pipe: Pipeline) throws {
        if run.isEmpty { return }
        try pipe.execute(
            Self.insert, run, seq, at, kind, subject, attributes, input, inputSize, output, outputSize, codec, keyID, hash)
    }
}

extension BusinessKeyRecord.Outcome {
    fileprivate var name: String {
        switch self {
        case .open: "open"
        case .happened: "happened"
        case .free: "free"
        }
    }

    fileprivate var output: [UInt8]? { if case .happened(let output) = self { output } else { nil } }
}

extension BusinessKey {
    fileprivate static func < (left: BusinessKey, right: BusinessKey) -> Bool {
        (left.namespace, left.step, left.key) < (right.namespace, right.step, right.key)
    }
}
