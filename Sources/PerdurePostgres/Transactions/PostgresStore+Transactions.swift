package import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    package var transactions: (any TransactionalStore.Type)? { PostgresDatabase.self }

    package func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        try requireEngine("do the work of steps")
        let committer = committer, limit = min(transaction.limit, options.transactionLimit)
        let answer = try await transactors.next().perform { session in
            try committer.transact(transaction, limit: limit, session)
        }
        bell.ring(answer.news)
        return answer.result
    }
}

/// Connections for the work of authors, so that one that takes long holds up neither commits nor all the others.
final class Transactors: Sendable {
    private let connections: [Connection]
    private let turn = Turn()

    init(_ connections: [Connection]) { self.connections = connections }

    func next() -> Connection { connections[turn.next(below: connections.count)] }

    func close() async { for connection in connections { await connection.close() } }
}

struct TransactionAnswer: Sendable {
    let result: TransactionResult
    var news = StoreNews()
}

/// Ends the transaction without a commit, with this result.
private struct Ended: Error { let result: TransactionResult }

extension Committer {
    private static let lock = SQL("SELECT 1 FROM perdure.runs WHERE number = $1::bigint FOR NO KEY UPDATE")

    /// What an author before has left on the connection is gone: authors meet what is set for their role and database.
    private static let cleared = """
        RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP;
        SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3
        """
    /// The same as on the connection that commits, until the transaction ends.
    private static let recording = """
        RESET ROLE; SET LOCAL synchronous_commit = on; SET LOCAL enable_seqscan = off; SET LOCAL jit = off;
        SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '5s'
        """

    func transact(_ transaction: StoreTransaction, limit: Duration, _ session: Session) throws -> TransactionAnswer {
        do {
            try session.run(Self.cleared)
            if let earlier = transaction.earlier, try session.transaction({ try wasApplied(earlier, session) }) {
                return TransactionAnswer(result: .committed(earlier))
            }
            return try session.transaction {
                let output = try work(transaction, limit: limit, session)
                guard let advance = transaction.record(output) else { throw Ended(result: .withdrawn) }
                return try record(advance, session)
            }
        } catch let ended as Ended {
            return TransactionAnswer(result: ended.result)
        } catch is Overtaken {
            throw StoreError.unavailable("another node was faster")
        } catch let failure as ServerFailure where failure.isAboutData && !failure.isCommit {
            return TransactionAnswer(result: .refused(.invalid(failure.description)))
        } catch let bad as BadRow {
            return TransactionAnswer(result: .refused(.invalid(bad.description)))
        }
    }

    /// Asked behind the run's lock, which a transaction whose answer was lost keeps until it has ended.
    private func wasApplied(_ advance: RunAdvance, _ session: Session) throws -> Bool {
        try session.run(Self.recording)
        _ = try session.exists(Self.lock, advance.run)
        let wishes = CommitWishes([.advance(advance)])
        let group = CommitGroup(try CommitFacts(for: wishes, node: node, time: time, session), session)
        guard let run = group.facts.runs[advance.run] else { return false }
        return try group.wasApplied(advance, run)
    }

    private func work(_ transaction: StoreTransaction, limit: Duration, _ session: Session) throws -> [UInt8] {
        let connection = PostgresTransaction(session, limit: limit)
        defer { connection.end() }
        let milliseconds = max(1, Int(limit / .milliseconds(1)))
        // The server ends by itself what takes too long, and what nobody goes on with.
        try session.run(
            """
            SET LOCAL statement_timeout = \(milliseconds); SET LOCAL idle_in_transaction_session_timeout = \(milliseconds)
            """)
        let output: [UInt8]
        do {
            output = try transaction.work(connection)
        } catch {
            throw Ended(result: .rolledBack(nil))
        }
        do {
            try connection.settle()
        } catch {
            throw Ended(result: .rolledBack("\(error)"))
        }
        return output
    }

    private func record(_ advance: RunAdvance, _ session: Session) throws -> TransactionAnswer {
        try session.run(Self.recording)
        let wishes = CommitWishes([.advance(advance)])
        let group = CommitGroup(try CommitFacts(for: wishes, node: node, time: time, session), session)
        if case .refused(let refusal) = try group.apply(.advance(advance)) { throw Ended(result: .refused(refusal)) }
        try session.pipeline { pipe in
            try group.writes.send(group.facts, pipe)
            try pipe.commit()
        }
        return TransactionAnswer(result: .committed(advance), news: group.news)
    }
}
