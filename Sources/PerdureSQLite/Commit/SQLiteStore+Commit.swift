internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    package func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] {
        guard !items.isEmpty else { return [] }
        let group = group(items)
        return tell(try await writer.perform { session in try group.applyAndTell(session) })
    }

    package func commitHere(_ items: [CommitItem]) throws(StoreError) -> [CommitResult] {
        guard !items.isEmpty else { return [] }
        let group = group(items)
        return tell(try writer.performHere { session in try group.applyAndTell(session) })
    }

    private func tell(_ answer: (results: [CommitResult], hasQueueNews: Bool)) -> [CommitResult] {
        committed(hasQueueNews: answer.hasQueueNews)
        return answer.results
    }

    private func group(_ items: [CommitItem]) -> CommitGroup {
        CommitGroup(items: items, node: node, isEngine: isEngine, now: now(), faults: options.faults)
    }
}

/// Items that share one transaction and one wait for the disk.
struct CommitGroup: Sendable {
    let items: [CommitItem]
    /// The one living node.
    let node: NodeID?
    let isEngine: Bool
    /// Stamps what is delivered.
    let now: Timestamp
    let faults: StoreFaults

    fileprivate func applyAndTell(_ session: Session) throws -> (results: [CommitResult], hasQueueNews: Bool) {
        session.hasQueueNews = false
        let results = try apply(to: session)
        return (results, session.hasQueueNews)
    }

    func apply(to session: Session) throws -> [CommitResult] {
        try faults.pass(.beforeTransaction)
        let results: [CommitResult]
        do {
            results = try session.write(beforeCommit: { try faults.pass(.beforeCommit) }) { try applyTogether(session) }
        } catch let failure as SQLFailure where failure.isAboutData && !failure.isCommit {
            results = try applyApart(session)
        } catch is BadRow {
            results = try applyApart(session)
        }
        try faults.pass(.afterCommit)
        return results
    }

    /// Without savepoints: what an item can be refused for is asked before its first write.
    private func applyTogether(_ session: Session) throws -> [CommitResult] {
        var results: [CommitResult] = []
        results.reserveCapacity(items.count)
        for (index, item) in items.enumerated() {
            results.append(try apply(item, session))
            try faults.pass(.afterItem(index))
        }
        return results
    }

    /// After data that SQLite would not take: each item behind a savepoint, so that only the offender is refused.
    private func applyApart(_ session: Session) throws -> [CommitResult] {
        try session.write(beforeCommit: { try faults.pass(.beforeCommit) }) {
            try items.map { item in
                do {
                    return try session.savepoint { try apply(item, session) }
                } catch let failure as SQLFailure where failure.isAboutData {
                    return .refused(.invalid(failure.description))
                } catch let bad as BadRow {
                    return .refused(.invalid(bad.description))
                }
            }
        }
    }

    private func apply(_ item: CommitItem, _ session: Session) throws -> CommitResult {
        switch item {
        case .create(let run): try begin(run, session)
        case .advance(let advance): try self.advance(advance, session)
        case .deliver(let delivery): try session.deliver(delivery, now: now)
        case .beat(let heartbeat): try session.beat(heartbeat, node: isEngine ? node : nil, now: now)
        case .schedule(let change): try schedule(change, session)
        }
    }
}
