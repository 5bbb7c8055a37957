internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    /// Who stands in the way of taking the key: another step that has it, or a generation that the taker has not heard of.
    func obstacle(to take: BusinessKeyTake, by run: RunID) -> BusinessKeyRecord? {
        guard let record = facts.keys[take.key]?.record else { return nil }
        if record.outcome == .free { return record.generation == take.generation ? nil : record }
        return record.holder == run && record.subject == take.subject ? nil : record
    }

    func take(_ take: BusinessKeyTake, holder: RunID) throws {
        if let found = facts.keys[take.key]?.record, found.outcome != .free {
            // Nobody else has it, that was asked before; two steps of one batch may still want the same.
            guard found.subject == take.subject else {
                throw BadRow("two steps of one run take the business key '\(take.key.key)' of step '\(take.key.step)'")
            }
            return
        }
        let record = BusinessKeyRecord(
            key: take.key, generation: facts.keys[take.key]?.record.generation ?? take.generation, holder: holder,
            subject: take.subject, inputDigest: take.inputDigest, outcome: .open)
        change(take.key) { $0.record = record }
        if facts.keys[take.key] == nil { facts.keys[take.key] = KeyFacts(record: record, isChanged: true) }
    }

    /// Ends the holding and tells everybody who waits. Done again, or by a step that is not the holder, it changes nothing.
    ///
    /// - Parameter seq: Where the holder's history stands then.
    func settle(_ settlement: BusinessKeySettlement, holder: RunID, at seq: Int64) throws {
        guard let found = facts.keys[settlement.key], found.record.holder == holder, found.record.subject == settlement.subject
        else { return }
        switch (settlement.end, found.record.outcome) {
        case (_, .free), (.happened, .happened), (.undoing, .open): return
        case (.undoing, .happened):
            change(settlement.key) { $0.record.outcome = .open }
            return
        case (.happened(let output), .open): change(settlement.key) { $0.record.outcome = .happened(output: output) }
        case (.free, .open), (.free, .happened):
            change(settlement.key) {
                $0.record.outcome = .free
                $0.record.generation += 1
            }
        }
        try tellWaiters(of: found, "\(holder)/\(seq)")
        change(settlement.key) { $0.waiters = [] }
    }

    private func change(_ key: BusinessKey, _ body: (inout KeyFacts) -> Void) {
        guard var found = facts.keys[key] else { return }
        body(&found)
        found.isChanged = true
        facts.keys[key] = found
    }

    private func tellWaiters(of key: KeyFacts, _ commit: String) throws {
        guard let number = key.number else { return }
        for waiter in key.waiters {
            // Derived from the commit: one key may settle several times in a generation, and whoever waits again is told again.
            let deliveryID = "key_settled/\(number)/\(commit)/\(waiter.subject)"
            let sender = Principal(.system, "store", authentication: "internal")
            // One that has closed meanwhile no longer wants to know.
            _ = try deliver(Delivery(to: waiter.run, id: deliveryID, kind: .keySettled, name: waiter.subject, sender: sender))
        }
        writes.dropWaiters(ofKey: number)
    }
}
