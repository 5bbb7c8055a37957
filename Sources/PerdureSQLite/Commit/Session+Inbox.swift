internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension Session {
    private static let target = SQL(
        """
        SELECT number, expired_at IS NOT NULL, state, needs_retry, workflow, version, is_admitted, successor, origin, salt FROM runs
        WHERE id = ?1 AND (?2 IS NULL OR namespace = ?2)
        """)
    private static let insertDelivery = SQL(
        """
        INSERT INTO inbox (run, delivery_id, at, kind, name, payload, sender) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT DO NOTHING
        """)
    private static let remember = SQL(
        """
        INSERT INTO inbox (run, delivery_id, at, kind, name, payload, sender, consumed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)
        ON CONFLICT DO NOTHING
        """)
    private static let known = SQL(
        """
        SELECT consumed, payload, salt FROM inbox JOIN runs ON runs.number = inbox.run WHERE run = ?1 AND delivery_id = ?2
        """)
    private static let unread = SQL(
        """
        SELECT \(InboxRow.columns) FROM inbox JOIN runs ON runs.number = inbox.run
        WHERE inbox.run = ?1 AND inbox.consumed = 0 AND inbox.number > ?2 ORDER BY inbox.number
        """)
    private static let interventionKinds = InboxKind.allCases.filter { $0.needsNoCode || $0 == .retry }
        .map { "'\($0.rawValue)'" }.joined(separator: ", ")
    private static let interventions = SQL(
        """
        SELECT \(InboxRow.columns) FROM inbox JOIN runs ON runs.number = inbox.run
        WHERE inbox.run = ?1 AND inbox.consumed = 0 AND inbox.kind IN (\(interventionKinds)) ORDER BY inbox.number
        """)

    private static let unreadNumbers = SQL("SELECT number FROM inbox WHERE run = ?1 AND consumed = 0")

    func unreadNumbers(of run: Int64) throws -> [Int64] { try all(Self.unreadNumbers, run) { try $0.integer(0) } }

    /// A message that was read has left the digest of its payload in the place of that.
    func knownDelivery(_ id: String, of run: Int64) throws -> KnownDelivery? {
        try first(Self.known, run, id) { row in
            let bytes = try row.optionalBytes(1)
            return try row.integer(0) == 1 ? KnownDelivery(digest: bytes) : KnownDelivery(payload: bytes, salt: row.bytes(2))
        }
    }

    /// Takes a message in, once for each delivery id.
    func deliver(_ delivery: Delivery, now: Timestamp) throws -> CommitResult {
        // Of a run of another namespace nothing is read: what is wrong with it is told to nobody else.
        let target = try first(Self.target, delivery.run.description, delivery.within) { row in
            (
                run: try row.integer(0), isExpired: try row.integer(1) == 1, place: try WakePlace(row, from: 2),
                chain: try row.isNull(7) ? nil : row.optionalText(8) ?? delivery.run.description, salt: try row.bytes(9)
            )
        }
        guard let (run, isExpired, place, chain, salt) = target else {
            // The first run of a chain may be gone long before the last one.
            return try forward(delivery, alongChainOf: delivery.run, now: now) ?? .refused(.runUnknown)
        }
        let wake = place.wake(by: delivery.kind, name: delivery.name)
        // Of a terminated run something may still be in doubt.
        if isExpired || (place.state.isFinal && wake == .nobody) {
            // Taken in before, if its answer was lost: the run may well have closed because of it.
            if let known = try knownDelivery(delivery.id, of: run) { return known.answer(to: delivery, salt: salt) }
            guard let first = chain.flatMap(RunID.init), let result = try forward(delivery, alongChainOf: first, now: now) else {
                return .refused(.runClosed)
            }
            // Sent again when the chain has grown, it would be another message there.
            if case .delivered = result, !isExpired {
                let sender = delivery.sender.storedText
                let digest = KnownDelivery(payload: delivery.payload, salt: salt).digest
                try execute(
                    Self.remember, run, delivery.id, now, delivery.kind.rawValue, delivery.name, digest, sender
                )
            }
            return result
        }
        let inserted = try execute(
            Self.insertDelivery, run, delivery.id, now, delivery.kind.rawValue, delivery.name,
            delivery.payload.map(Readable.init),
            delivery.sender.storedText)
        if inserted == 0, let known = try knownDelivery(delivery.id, of: run) { return known.answer(to: delivery, salt: salt) }
        try addWake(of: run, wake, place, at: now)
        return .delivered(isDuplicate: false)
    }

    /// Delivers to the last run of a chain what speaks of the whole of it.
    private func forward(_ delivery: Delivery, alongChainOf first: RunID, now: Timestamp) throws -> CommitResult? {
        guard delivery.kind.followsRun, let last = try lastOfChain(begunBy: first, within: delivery.within),
            last.id != delivery.run
        else { return nil }
        var delivery = delivery
        delivery.run = last.id
        return try deliver(delivery, now: now)
    }

    /// - Parameter known: Rows that are left out.
    func inbox(of run: Int64, after number: Int64 = 0, except known: Set<Int64> = []) throws -> InboxPage {
        var page = PageOfRows(except: known)
        try forEach(Self.unread, run, number) { try page.add(InboxRow($0)) }
        return page.page
    }

    func interventions(of run: Int64) throws -> [InboxRow] {
        var page = PageOfRows()
        try forEach(Self.interventions, run) { try page.add(InboxRow($0)) }
        return page.page.rows
    }
}
