internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Synchronization

/// What this process was told is durable, to be looked up on every new link before anything else is done there.
///
/// The server's log is a prefix of what it has confirmed. If a commit is not there any more that this process was told of, the history went
/// back: a replica took over that was behind, or a backup was put in its place. Nothing but rights on the tables is needed for that.
final class Recollection: Sendable {
    /// The last event of a commit whose answer was heard.
    struct Entry: Sendable {
        /// The run's number.
        let run: Int64
        let seq: Int64
        let at: Timestamp
        /// It covers the run's id, and all that stands before it.
        let hash: EventHash
        let heard: ContinuousClock.Instant
    }

    /// Which connection a commit was made on. Commits of one follow each other in the log; those of two need not be answered in the order in
    /// which they stand there.
    enum Source: Int, CaseIterable {
        case writer, steps
        /// How many of its commits are kept in mind: steps have several connections, and each one's last is to be among them.
        var depth: Int { self == .writer ? 4 : 16 }
    }

    private struct State {
        var entries: [[Entry]] = Array(repeating: [], count: Source.allCases.count)
        var node: NodeID?
        /// The start of the server on which everything was found last.
        var server: Int64?
        var contact = ContinuousClock.now
        var hasTold = false
    }

    private let state = Mutex(State())
    /// A run that has closed may be removed, tombstone and all. One that is gone so soon after its last commit was not.
    private static let tooSoonToBeRemoved = Duration.minutes(10)

    var node: NodeID? { state.withLock { $0.node } }

    /// The node of this process, which has others wait until it has looked.
    func become(_ node: NodeID?) { state.withLock { $0.node = node } }

    /// The server was heard of.
    func noteContact() { state.withLock { $0.contact = .now } }

    /// The answer has come: a history with this last event is durable.
    func note(_ head: ChainHead, of run: Int64, from source: Source) {
        let entry = Entry(run: run, seq: head.seq, at: head.at, hash: head.hash, heard: .now)
        state.withLock { state in
            state.contact = entry.heard
            let index = source.rawValue
            state.entries[index].append(entry)
            if state.entries[index].count > source.depth { state.entries[index].removeFirst() }
        }
    }

    /// Runs were removed by rule: those that are gone are not missed.
    func forgetRemoved(on session: Session) throws {
        let entries = state.withLock { $0.entries.flatMap { $0 } }
        if entries.isEmpty { return }
        let there = Set(try session.all(Self.present, entries.map(\.run)) { try $0.integer(0) })
        state.withLock { state in
            for source in Source.allCases { state.entries[source.rawValue].removeAll { !there.contains($0.run) } }
        }
    }

    private static let present = SQL("SELECT number FROM perdure.runs WHERE number = ANY($1::bigint[])")

    /// Whether nobody has been told yet that something is missing.
    func tellsFirst() -> Bool {
        state.withLock { state in
            defer { state.hasTold = true }
            return !state.hasTold
        }
    }

    // MARK: A new link

    /// How the server is known from every other start of it, and from every replica.
    static let serverStart = "(extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint"
    private static let whichServer = SQL("SELECT \(serverStart)")
    private static let find = SQL(
        """
        SELECT wanted.place, runs.number, runs.expired_at IS NOT NULL, events.hash
        FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS wanted (run, seq, place)
            LEFT JOIN perdure.runs ON runs.number = wanted.run
            LEFT JOIN perdure.events ON events.run = wanted.run AND events.seq = wanted.seq
        ORDER BY wanted.place DESC
        """)
    private static let confirm = SQL(
        "UPDATE perdure.nodes SET server = \(serverStart) WHERE id = $1::text AND ended_at IS NULL")

    /// Looks whether all is there that this process was told of, and lets others know.
    ///
    /// - Returns: what is missing; nil if nothing is.
    func missing(on session: Session) throws -> Entry? {
        let (entries, node, server, contact) = state.withLock {
            ($0.entries.flatMap { $0 }, $0.node, $0.server, $0.contact)
        }
        if entries.isEmpty, node == nil { return nil }
        var missing: Entry?
        if !entries.isEmpty {
            _ = try session.all(Self.find, entries.map(\.run), entries.map(\.seq)) { row in
                let entry = entries[Int(try row.integer(0)) - 1]
                if try entry.isMissing(row, mayBeRemoved: contact - entry.heard > Self.tooSoonToBeRemoved) { missing = entry }
            }
        }
        if let missing { return missing }
        let present = try session.first(Self.whichServer) { try $0.integer(0) }
        if let node, present != server { try session.execute(Self.confirm, node) }
        state.withLock { state in
            if state.node == node { state.server = present }
            state.contact = .now
        }
        return nil
    }
}

extension Recollection.Entry {
    /// - Parameter mayBeRemoved: whether so much time lies behind the commit that its run may have been removed by rule.
    fileprivate func isMissing(_ row: Row, mayBeRemoved: Bool) throws -> Bool {
        if row.isNull(1) { return !mayBeRemoved }
        if try row.bool(2) { return false }
        if row.isNull(3) { return true }
        // What cannot be read is damaged, and found where it is read.
        return (try? row.hash(3)).map { $0 != hash } ?? false
    }
}
