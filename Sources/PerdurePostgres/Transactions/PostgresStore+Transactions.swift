package import Perdure
internal import PerdureHistory
package import PerdureStore
internal import Synchronization

extension PostgresStore {
    package var transactions: (any TransactionalStore.Type)? { PostgresDatabase.self }

    package func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        try requireEngine("do the work of steps")
        let committer = committer, limit = min(transaction.limit, options.transactionLimit)
        let answer = try await transactors.perform { session in
            try committer.transact(transaction, limit: limit, session)
        }
        tell(answer.news)
        return answer.result
    }
}

/// Connections for the work of authors, so that one that takes long holds up neither commits nor others.
final class Transactors: Sendable {
    private let connections: [Connection]
    /// How many wait or are at work at each.
    private let loads: Mutex<[Int]>

    init(_ connections: [Connection]) {
        self.connections = connections
        loads = Mutex(Array(repeating: 0, count: connections.count))
    }

    /// Does the work on the connection for which the fewest wait.
    func perform<Result: Sendable>(_ work: @escaping @Sendable (Session) throws -> Result) async throws(StoreError) -> Result {
        let place = loads.withLock { loads in
            let place = loads.indices.min { loads[$0] < loads[$1] } ?? 0
            loads[place] += 1
            return place
        }
        defer { loads.withLock { $0[place] -= 1 } }
        return try await connections[place].perform(work)
    }

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

    /// What authors may count on, and nobody is to wait for.
    private static let settings = """
        SET client_encoding = 'UTF8'; SET bytea_output = 'hex';
        SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3
        """
    /// What an author has left on the connection goes, and nobody waits for it until the next one comes.
    private static let cleared = """
        RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SELECT pg_catalog.pg_advisory_unlock_all(); UNLISTEN *; CLOSE ALL;
        DISCARD TEMP; DISCARD SEQUENCES; \(settings)
        """
    /// The same as on the connection that commits, until the transaction ends. An author's temporary table must not be taken for a type.
    private static let recording = """
        RESET ROLE; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL client_encoding = 'UTF8'; SET LOCAL synchronous_commit = on;
        SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = 0;
        SET LOCAL idle_in_transaction_session_timeout = '5s'
        """

    static func prepareForAuthors(_ session: Session) throws { try session.run(settings, changesNothing: true) }

    func transact(_ transaction: StoreTransaction, limit: Duration, _ session: Session) throws -> TransactionAnswer {
        defer { clear(session) }
        do {
            if let earlier = transaction.earlier {
                let (isThere, facts) = try session.transaction { try wasApplied(earlier, session) }
                if isThere {
                    note(earlier, facts)
                    return TransactionAnswer(result: .committed(earlier))
                }
            }
            let (advance, group) = try session.untilNotOvertaken {
                try session.transaction {
                    let output = try work(transaction, limit: limit, session)
                    guard let advance = transaction.record(output) else { throw Ended(result: .withdrawn) }
                    return (advance, try record(advance, session))
                }
            }
            note(advance, group.facts)
            return TransactionAnswer(result: .committed(advance), news: group.news)
        } catch let ended as Ended {
            return TransactionAnswer(result: ended.result)
        } catch let failure as ServerFailure where failure.isAboutData && !failure.isCommit {
            return TransactionAnswer(result: .refused(.invalid(failure.description)))
        } catch let bad as BadRow {
            return TransactionAnswer(result: .refused(.invalid(bad.description)))
        } catch let failure as ServerFailure {
            let error = StoreError(failure)
            if case .outcomeUnknown = error { throw error }
            // Whatever it says, it may be the author's doing: nothing of the database is to be judged by it.
            session.link.lose()
            throw StoreError.unavailable("\(failure)")
        }
    }

    private func note(_ advance: RunAdvance, _ facts: CommitFacts) {
        recollection?.note(restoration: max(facts.standing ?? 0, facts.lifted))
        guard let last = advance.events.last else { return }
        recollection?.note(ChainHead(after: last), of: advance.run, from: .steps, facts.lifted)
    }

    private func clear(_ session: Session) {
        guard !session.link.isLost else { return }
        do {
            try session.run(Self.cleared, changesNothing: true)
            Connection.watch(session)
        } catch {
            session.link.lose()
        }
    }

    /// Asked behind the run's lock, which a transaction whose answer was lost keeps until it has ended.
    private func wasApplied(_ advance: RunAdvance, _ session: Session) throws -> (Bool, CommitFacts) {
        try session.run(Self.recording, changesNothing: true)
        _ = try session.exists(Self.lock, advance.run)
        let wishes = CommitWishes([.advance(advance)])
        let group = CommitGroup(try CommitFacts(for: wishes, node: node, time: time, hasQuotas, session), session)
        guard let run = group.facts.runs[advance.run] else { return (false, group.facts) }
        return (try group.wasApplied(advance, run), group.facts)
    }

    private func work(_ transaction: StoreTransaction, limit: Duration, _ session: Session) throws -> [UInt8] {
        let connection = PostgresTransaction(session, limit: limit)
        defer { connection.end() }
        let milliseconds = max(1, Int(limit / .milliseconds(1)))
        // What could not be recorded is not begun.
        let awaited = try session.first(Presence.askForAwaited) { try Presence.nodes($0, 0) }
        try Presence.require(awaited ?? [])
        // The server ends by itself what takes too long, and what nobody goes on with.
        try session.run(
            """
            SET LOCAL statement_timeout = \(milliseconds); SET LOCAL idle_in_transaction_session_timeout = \(milliseconds)
            """, changesNothing: true)
        let output: [UInt8]
        do {
            output = try transaction.work(connection)
        } catch {
            throw Ended(result: .rolledBack(nil))
        }
        do {
            try connection.settle()
        } catch {
            throw Ended(result: .rolledBack("\(error)", isRetryable: (error as? PostgresError)?.isRetryable ?? true))
        }
        return output
    }

    private func record(_ advance: RunAdvance, _ session: Session) throws -> CommitGroup {
        try session.run(Self.recording, changesNothing: true)
        let wishes = CommitWishes([.advance(advance)])
        let group = CommitGroup(try CommitFacts(for: wishes, node: node, time: time, hasQuotas, session), session)
        if case .refused(let refusal) = try group.apply(.advance(advance)) { throw Ended(result: .refused(refusal)) }
        try session.pipeline { pipe in
            try group.writes.send(group.facts, pipe)
            try pipe.commit()
        }
        return group
    }
}
