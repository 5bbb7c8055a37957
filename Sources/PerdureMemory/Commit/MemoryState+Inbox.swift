internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    func isStorable(_ delivery: Delivery) -> Bool {
        delivery.id.isStorable && delivery.name.isStorable && delivery.sender.id.isStorable
            && delivery.sender.authentication.isStorable
    }

    /// Takes a message in, once for each delivery id.
    mutating func deliver(_ delivery: Delivery, now: Timestamp) -> CommitResult {
        guard isStorable(delivery) else { return .refused(.invalid("a text of the delivery '\(delivery.id.legible)' has a NUL")) }
        guard let index = index(of: delivery.run) else {
            // The first run of a chain may be gone long before the last one.
            return forward(delivery, alongChainOf: delivery.run, now: now) ?? .refused(.runUnknown)
        }
        let id = ByteText(delivery.id), record = runs[index].record
        guard delivery.reaches(record.namespace) else { return .refused(.runUnknown) }
        var delivery = delivery
        delivery.within = nil
        let wake = runs[index].wake(by: delivery.kind, name: delivery.name)
        // Of a terminated run something may still be in doubt.
        if record.tombstone != nil || (record.state.isFinal && wake == .nobody) {
            // Taken in before, if its answer was lost: the run may well have closed because of it.
            if let known = runs[index].deliveries[id] { return known.answer(to: delivery, salt: record.salt) }
            guard record.successor != nil, let result = forward(delivery, alongChainOf: record.chain.run, now: now) else {
                return .refused(.runClosed)
            }
            // Sent again when the chain has grown, it would be another message there.
            if case .delivered = result, record.tombstone == nil {
                lastInboxRow += 1
                runs[index].deliveries[id] = KnownDelivery(payload: delivery.payload, salt: record.salt)
                runs[index].read.insert(lastInboxRow)
            }
            return result
        }
        if let known = runs[index].deliveries[id] { return known.answer(to: delivery, salt: record.salt) }
        runs[index].deliveries[id] = KnownDelivery(payload: delivery.payload, salt: record.salt)
        lastInboxRow += 1
        runs[index].unread.append(InboxRow(number: lastInboxRow, run: record.number, at: now, delivery: delivery))
        if let node = record.owner.flatMap({ nodeIndex(of: $0) }) {
            nodes[node].arrivals.insert(Arrival(number: lastInboxRow, run: record.number))
        }
        if wake != .nobody { change(index) { $0.addWake(wake, at: now) } }
        hasNews = true
        return .delivered(isDuplicate: false)
    }

    /// Delivers to the last run of a chain what speaks of the whole of it.
    private mutating func forward(_ delivery: Delivery, alongChainOf first: RunID, now: Timestamp) -> CommitResult? {
        guard delivery.kind.followsRun, let last = lastOfChain(begunBy: first), runs[last].record.id != delivery.run else {
            return nil
        }
        var delivery = delivery
        delivery.run = runs[last].record.id
        return deliver(delivery, now: now)
    }

    /// Marks messages as read, which leaves the digests of their payloads.
    mutating func consume(_ numbers: [Int64], of index: Int) {
        guard !numbers.isEmpty else { return }
        let consumed = Set(numbers)
        if let node = runs[index].record.owner.flatMap({ nodeIndex(of: $0) }) {
            for number in numbers { nodes[node].arrivals.remove(Arrival(number: number, run: Int64(index) + 1)) }
        }
        runs[index].unread.removeAll { consumed.contains($0.number) }
        runs[index].read.formUnion(consumed)
    }

    /// A page of unread messages.
    ///
    /// - Parameter known: Rows that are left out.
    func page(of index: Int, after number: Int64 = 0, except known: Set<Int64> = []) -> InboxPage {
        var page = PageOfRows(except: known)
        for row in runs[index].unread[runs[index].unreadPlace(after: number)...] {
            if !page.add(row) { break }
        }
        return page.page
    }
}
