package import Perdure
internal import PerdureHistory
package import PerdureStore
internal import Synchronization

extension SQLiteStore {
    package var transactions: (any TransactionalStore.Type)? { SQLiteDatabase.self }

    package func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        try requireEngine("do the work of steps")
        let group = CommitGroup(items: [], node: node, isEngine: isEngine, now: now(), faults: options.faults)
        let options = options
        let (result, hasQueueNews) = try await transactor().perform { session in
            try session.prepareForAuthors(options)
            session.hasQueueNews = false
            let result = try group.transact(transaction, limit: min(transaction.limit, options.transactionLimit), session)
            return (result, session.hasQueueNews)
        }
        committed(hasQueueNews: hasQueueNews)
        return result
    }

    /// A connection of its own, so that authors' SQL meets none of the engine's statements. It is made when the first step needs it.
    private func transactor() throws(StoreError) -> Connection {
        do {
            return try transactionConnection.withLock { connection in
                if let connection { return connection }
                // Opening a file that is gone would make another.
                try writer.place?.check()
                let made = try Connection(path: path, readOnly: false, busyLimit: options.busyLimit, place: writer.place)
                connection = made
                return made
            }
        } catch {
            throw StoreError(error)
        }
    }
}

extension CommitGroup {
    /// Ends the transaction without a commit, with this result.
    private struct Ended: Error { let result: TransactionResult }

    func transact(_ transaction: StoreTransaction, limit: Duration, _ session: Session) throws -> TransactionResult {
        try faults.pass(.beforeTransaction)
        do {
            let advance = try session.write(beforeCommit: { try faults.pass(.beforeCommit) }) {
                if let earlier = transaction.earlier, try wasApplied(earlier, session) {
                    throw Ended(result: .committed(earlier))
                }
                let output = try work(transaction, limit: limit, session)
                guard let advance = transaction.record(output) else { throw Ended(result: .withdrawn) }
                if case .refused(let refusal) = try self.advance(advance, session) { throw Ended(result: .refused(refusal)) }
                return advance
            }
            try faults.pass(.afterCommit)
            return .committed(advance)
        } catch let ended as Ended {
            return ended.result
        } catch let failure as SQLFailure where failure.isAboutData && !failure.isCommit {
            return .refused(.invalid(failure.description))
        } catch let bad as BadRow {
            return .refused(.invalid(bad.description))
        }
    }

    private func work(_ transaction: StoreTransaction, limit: Duration, _ session: Session) throws -> [UInt8] {
        do {
            return try session.lend(for: limit) { try transaction.work($0) }
        } catch let stopped as Session.StoppedWork {
            throw Ended(result: .rolledBack(stopped.reason))
        } catch {
            throw Ended(result: .rolledBack(nil))
        }
    }
}
