internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    /// Takes a message in, once for each delivery id.
    func deliver(_ delivery: Delivery) throws -> CommitResult {
        guard let number = facts.numbers[delivery.run], let target = facts.runs[number] else {
            // The first run of a chain may be gone long before the last one.
            return try forward(delivery, alongChainOf: delivery.run) ?? .refused(.runUnknown)
        }
        guard delivery.reaches(target.record.namespace) else { return .refused(.runUnknown) }
        let record = target.record, wake = target.wake(by: delivery.kind, name: delivery.name)
        let place = DeliveryPlace(run: number, id: delivery.id)
        let isExpired = record.tombstone != nil
        // Of a terminated run something may still be in doubt.
        if isExpired || (record.state.isFinal && wake == .nobody) {
            // Taken in before, if its answer was lost: the run may well have closed because of it.
            if let known = facts.knownDeliveries[place] { return known.answer(to: delivery, salt: record.salt) }
            guard record.successor != nil, let result = try forward(delivery, alongChainOf: record.chain.run) else {
                return .refused(.runClosed)
            }
            // Sent again when the chain has grown, it would be another message there.
            if case .delivered = result, !isExpired {
                let known = KnownDelivery(payload: delivery.payload, salt: record.salt)
                writes.remember(delivery, as: known, of: number, at: facts.now)
                facts.knownDeliveries[place] = known
            }
            return result
        }
        if let known = facts.knownDeliveries[place] { return known.answer(to: delivery, salt: record.salt) }
        facts.knownDeliveries[place] = KnownDelivery(payload: delivery.payload, salt: record.salt)
        writes.deliver(delivery, to: number, at: facts.now)
        note(delivery, for: number, wake)
        return .delivered(isDuplicate: false)
    }

    private func note(_ delivery: Delivery, for run: Int64, _ wake: Wake) {
        let message = UnreadKind(name: delivery.name, at: facts.now)
        if let known = facts.runs[run]?.unread {
            var unread = known
            unread[delivery.kind, default: message].merge(message)
            facts.runs[run]?.unread = unread
        }
        facts.runs[run]?.hasNews = true
        if wake != .nobody {
            writes.addWake(of: run, wake, at: facts.now)
            facts.runs[run]?.hasWake = true
        }
        switch facts.runs[run]?.record.owner {
        case nil: if wake != .nobody { news.ringAll() }
        case let owner? where owner == facts.node: break
        case let owner?: news.ring(owner)
        }
    }

    private static let endOfChain = SQL(
        """
        SELECT number FROM perdure.runs
        WHERE origin = $1::text::uuid AND successor IS NULL AND ($2::text IS NULL OR namespace = $2::text)
        """)

    /// Delivers to the last run of a chain what speaks of the whole of it.
    private func forward(_ delivery: Delivery, alongChainOf first: RunID) throws -> CommitResult? {
        guard delivery.kind.followsRun else { return nil }
        guard let number = facts.chainEnds[first], let last = facts.runs[number]?.record, last.successor == nil else {
            // Continued after the rows were locked.
            if try session.exists(Self.endOfChain, first.description, delivery.within) { throw Overtaken() }
            return nil
        }
        guard last.id != delivery.run else { return nil }
        var delivery = delivery
        delivery.run = last.id
        return try deliver(delivery)
    }
}
