internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension Session {
    private static let selectKey = SQL(
        "SELECT \(BusinessKeyRow.columns) FROM business_keys WHERE namespace = ?1 AND step = ?2 AND key = ?3")
    private static let insertKey = SQL(
        """
        INSERT INTO business_keys (namespace, step, key, generation, holder, subject, input_digest, state)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'open')
        """)
    private static let takeKey = SQL(
        "UPDATE business_keys SET holder = ?2, subject = ?3, input_digest = ?4, state = 'open', output = NULL WHERE number = ?1")
    private static let settleKey = SQL("UPDATE business_keys SET state = 'happened', output = ?2 WHERE number = ?1")
    private static let reopenKey = SQL("UPDATE business_keys SET state = 'open', output = NULL WHERE number = ?1")
    private static let freeKey = SQL(
        "UPDATE business_keys SET state = 'free', output = NULL, generation = generation + 1 WHERE number = ?1")
    private static let waiters = SQL(
        """
        SELECT runs.id, business_key_waiters.subject FROM business_key_waiters JOIN runs ON runs.number = business_key_waiters.run
        WHERE business_key_waiters.key = ?1 ORDER BY business_key_waiters.run, business_key_waiters.subject
        """)
    private static let awaited = SQL(
        """
        SELECT \(BusinessKeyRow.columns), business_keys.namespace, business_keys.step, business_keys.key, business_key_waiters.subject
        FROM business_key_waiters INDEXED BY business_key_waiters_runs
            JOIN business_keys ON business_keys.number = business_key_waiters.key
        WHERE business_key_waiters.run = ?1 ORDER BY business_key_waiters.subject
        """)
    private static let deleteWaiters = SQL("DELETE FROM business_key_waiters WHERE key = ?1")
    private static let insertWaiter = SQL("INSERT OR IGNORE INTO business_key_waiters (key, run, subject) VALUES (?1, ?2, ?3)")
    private static let runID = SQL("SELECT id FROM runs WHERE number = ?1")

    func businessKey(_ key: BusinessKey) throws -> BusinessKeyRow? {
        try first(Self.selectKey, key.namespace, key.step, key.key) { try BusinessKeyRow($0, key: key) }
    }

    /// Who stands in the way of taking the key: another step that has it, or a generation that the taker has not heard of.
    func obstacle(to take: BusinessKeyTake, by run: RunID) throws -> BusinessKeyRecord? {
        guard let record = try businessKey(take.key)?.record else { return nil }
        if record.outcome == .free { return record.generation == take.generation ? nil : record }
        return record.holder == run && record.subject == take.subject ? nil : record
    }

    func take(_ take: BusinessKeyTake, holder: RunID) throws {
        let key = take.key
        guard let row = try businessKey(key) else {
            try execute(
                Self.insertKey, key.namespace, key.step, key.key, take.generation, holder.description, take.subject,
                take.inputDigest)
            return
        }
        guard row.record.outcome == .free else {
            // Nobody else has it, that was asked before; two steps of one batch may still want the same.
            guard row.record.subject == take.subject else {
                throw BadRow("two steps of one run take the business key '\(key.key)' of step '\(key.step)'")
            }
            return
        }
        try execute(Self.takeKey, row.number, holder.description, take.subject, take.inputDigest)
    }

    /// Ends the holding and tells everybody who waits. Done again, or by a step that is not the holder, it changes nothing.
    ///
    /// - Parameter seq: Where the holder's history stands then.
    func settle(_ settlement: BusinessKeySettlement, holder: RunID, at seq: Int64, now: Timestamp) throws {
        guard let row = try businessKey(settlement.key), row.record.holder == holder, row.record.subject == settlement.subject
        else { return }
        switch (settlement.end, row.record.outcome) {
        case (_, .free), (.happened, .happened), (.undoing, .open): return
        case (.undoing, .happened):
            try execute(Self.reopenKey, row.number)
            return
        case (.happened(let output), .open): try execute(Self.settleKey, row.number, Readable(bytes: output))
        case (.free, .open), (.free, .happened): try execute(Self.freeKey, row.number)
        }
        try tellWaiters(row, "\(holder)/\(seq)", now: now)
    }

    private func tellWaiters(_ row: BusinessKeyRow, _ commit: String, now: Timestamp) throws {
        let key = row.record.key
        let waiting = try all(Self.waiters, row.number) { (try $0.text(0), try $0.text(1)) }
        for (id, subject) in waiting {
            guard let run = RunID(id) else {
                throw BadRow("a waiter of the business key '\(key.key)': its id '\(id)' is not a UUID")
            }
            // Derived from the commit: one key may settle several times in a generation, and whoever waits again is told again.
            let deliveryID = "key_settled/\(row.number)/\(commit)/\(subject)"
            let sender = Principal(.system, "store", authentication: "internal")
            // One that has closed meanwhile no longer wants to know.
            _ = try deliver(Delivery(to: run, id: deliveryID, kind: .keySettled, name: subject, sender: sender), now: now)
        }
        try execute(Self.deleteWaiters, row.number)
    }

    func awaitedKeys(of run: Int64) throws -> [BusinessKeyWait] {
        let last = BusinessKeyRow.columnCount
        return try all(Self.awaited, run) { row in
            let key = BusinessKey(namespace: try row.text(last), step: try row.text(last + 1), key: try row.text(last + 2))
            return BusinessKeyWait(subject: try row.text(last + 3), record: try BusinessKeyRow(row, key: key).record)
        }
    }

    func awaitKey(_ key: BusinessKey, run: Int64, subject: String) throws -> BusinessKeyRecord? {
        if let row = try businessKey(key) {
            guard row.record.outcome == .open else { return row.record }
            try execute(Self.insertWaiter, row.number, run, subject)
            return nil
        }
        // Never taken: the asker may take it, and would wait for ever.
        guard let id = try first(Self.runID, run, row: { try $0.text(0) }).flatMap(RunID.init) else {
            throw BadRow("run number \(run) does not exist")
        }
        return BusinessKeyRecord(key: key, generation: 1, holder: id, subject: subject, inputDigest: "", outcome: .free)
    }
}
