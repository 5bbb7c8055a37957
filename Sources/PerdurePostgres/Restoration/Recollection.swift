internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Synchronization

/// What this process was told is durable, to be looked up on every new link before anything else is done there.
///
/// The server's log is a prefix of what it has confirmed. If something is not there any more that this process was told of, the history
/// went back: a replica took over that was behind, or a backup was put in its place. Nothing but rights on the tables is needed for that.
final class Recollection: Sendable {
    /// The last event of a commit whose answer was heard.
    struct Entry: Sendable {
        /// The run's number.
        let run: Int64
        let seq: Int64
        /// It covers the run's id, and all that stands before it.
        let hash: EventHash
        let heard: Timestamp
        /// The last restoration that was lifted by then: one that was lifted later has marked what is lost with this.
        let lifted: Int64
    }

    /// The row of this process's node, which is changed with every renewal.
    struct Lease: Sendable {
        let node: NodeID
        let renewals: Int64
        /// The start of the server that has confirmed the last renewal.
        let server: Int64
        /// The last restoration in the store by then; 0 if there was none.
        let restoration: Int64
        /// When the last renewal was asked for. Nobody ends the node by right as long as no lease has passed since.
        let asked: Timestamp
    }

    /// Which connection a commit was made on. Commits of one follow each other in the log; those of two need not be answered in the order
    /// in which they stand there.
    enum Source: Int, CaseIterable {
        case writer, steps
        /// How many of its commits are kept in mind: steps have several connections, and each one's last is to be among them.
        var depth: Int { self == .writer ? 4 : 16 }
    }

    /// What is known at one moment.
    struct Known: Sendable {
        /// Of the store; nil until it is open.
        var identity: String?
        fileprivate var latest: [[Entry]] = Array(repeating: [], count: Source.allCases.count)
        /// Of all sources.
        var entries: [Entry] { latest.flatMap { $0 } }
        var node: NodeID?
        /// nil while the row may be gone by this process's own doing.
        var lease: Lease?
        /// The highest number of a restoration that was seen, standing or lifted.
        var restoration: Int64 = 0
        /// The one that this process has noticed a loss by. From then on it begins nothing more.
        var noticed: Int64?
        /// The start of the server on which everything was found last.
        var server: Int64?
    }

    private let state = Mutex(Known())
    /// A clock that nobody sets.
    private let here: @Sendable () -> Timestamp
    private let leaseLength: Duration

    init(leaseLength: Duration, here: @escaping @Sendable () -> Timestamp) {
        self.leaseLength = leaseLength
        self.here = here
    }

    var known: Known { state.withLock { $0 } }

    /// The store is open: no other one is worked on from now on.
    func become(storeOf identity: String) { state.withLock { $0.identity = identity } }

    // MARK: What is heard

    /// The answer has come: a history with this last event is durable. Called on the connection's queue, before the connection does
    /// anything else.
    func note(_ head: ChainHead, of run: Int64, from source: Source, _ lifted: Int64) {
        let entry = Entry(run: run, seq: head.seq, hash: head.hash, heard: here(), lifted: lifted)
        state.withLock { state in
            let index = source.rawValue
            state.latest[index].append(entry)
            if state.latest[index].count > source.depth { state.latest[index].removeFirst() }
        }
    }

    /// The last of what is durable of a commit.
    func note(_ items: ArraySlice<CommitItem>, _ results: [CommitResult?], _ facts: CommitFacts) {
        note(restoration: max(facts.standing ?? 0, facts.lifted))
        for (item, result) in zip(items, results).reversed() {
            switch (item, result) {
            case (.advance(let advance), .advanced?):
                guard let last = advance.events.last else { continue }
                return note(ChainHead(after: last), of: advance.run, from: .writer, facts.lifted)
            case (.create(let run), .created(let record)?):
                // One that was there already is somebody else's, or has gone on since.
                guard let last = run.events.last, record.id == run.record.id else { continue }
                return note(ChainHead(after: last), of: record.number, from: .writer, facts.lifted)
            default: continue
            }
        }
    }

    /// A restoration stood in the store, or was lifted there.
    func note(restoration number: Int64) { state.withLock { $0.restoration = max($0.restoration, number) } }

    /// The node of this process is in the store, and has others wait until it has looked.
    func note(_ lease: Lease) {
        note(restoration: lease.restoration)
        state.withLock { state in
            state.node = lease.node
            state.lease = lease
        }
    }

    /// The node is about to end by this process's own doing: its row is missed no more.
    func forgetLease() { state.withLock { $0.lease = nil } }

    /// The process has no node any more.
    func forgetNode() {
        state.withLock { state in
            state.node = nil
            state.lease = nil
        }
    }

    /// The loss of which this process knows is written down.
    /// - Returns: whether nobody has been told yet.
    func note(noticed number: Int64) -> Bool {
        state.withLock { state in
            defer { (state.noticed, state.restoration) = (number, number) }
            return state.noticed != number
        }
    }

    /// Everything was found on this start of the server.
    fileprivate func note(server: Int64, for node: NodeID?) {
        state.withLock { if $0.node == node { $0.server = server } }
    }
}

/// Something that was durable and is not there as it was.
struct Loss {
    let reason: String
    /// A restoration with a greater number that is lifted has marked what is lost with it.
    let lifted: Int64
}

/// What a server has of the things that are the same for all processes, or are about this one's node.
private struct Found {
    let server: Int64
    /// The highest number of a restoration.
    let restoration: Int64
    /// How often the node was renewed; nil if it has no row.
    let renewals: Int64?
    let isEnded: Bool

    static let ask = SQL(
        """
        SELECT \(Recollection.serverStart), coalesce((SELECT max(number) FROM perdure.restorations), 0), nodes.renewals,
            nodes.ended_at IS NOT NULL
        FROM (SELECT $1::text AS id) AS own LEFT JOIN perdure.nodes USING (id)
        """)

    init(_ row: Row) throws(BadRow) {
        server = try row.integer(0)
        restoration = try row.integer(1)
        renewals = try row.optionalInteger(2)
        isEnded = try row.bool(3)
    }
}

// MARK: A new link

extension Recollection {
    /// A run that has closed may be removed, tombstone and all, but not as soon as this after its last commit
    /// (`ExpiringSession.tombstonesStay`).
    private static let tooSoonToBeRemoved = Duration.minutes(10)

    /// How the server is known from every other start of it, and from every replica.
    static let serverStart = "(extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint"
    private static let find = SQL(
        """
        SELECT wanted.place, runs.number, runs.expired_at IS NOT NULL, events.hash
        FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS wanted (run, seq, place)
            LEFT JOIN perdure.runs ON runs.number = wanted.run
            LEFT JOIN perdure.events ON events.run = wanted.run AND events.seq = wanted.seq
        ORDER BY wanted.place
        """)
    private static let confirm = SQL(
        "UPDATE perdure.nodes SET server = \(serverStart) WHERE id = $1::text AND ended_at IS NULL")

    /// Looks whether all is there that this process was told of, and lets others know if it is.
    ///
    /// - Returns: what is missing.
    func losses(of known: Known, on session: Session) throws -> [Loss] {
        let entries = known.entries
        if entries.isEmpty, known.node == nil, known.restoration == 0 { return [] }
        var losses: [Loss] = []
        if !entries.isEmpty {
            let now = here()
            losses = try session.all(Self.find, entries.map(\.run), entries.map(\.seq)) { row in
                let entry = entries[Int(try row.integer(0)) - 1]
                let mayBeRemoved = now.duration(since: entry.heard) > Self.tooSoonToBeRemoved
                return try entry.isMissing(row, mayBeRemoved: mayBeRemoved) ? entry.loss : nil
            }.compactMap { $0 }
        }
        guard let found = try session.first(Found.ask, known.node, row: { try Found($0) }) else { return losses }
        if found.restoration < known.restoration {
            losses.append(
                Loss(reason: "restoration number \(known.restoration), which was seen, is not there", lifted: known.restoration))
        }
        // By now it may be this process's own doing.
        if let lease = known.lease, self.known.lease?.node == lease.node, isMissing(lease, found) {
            losses.append(
                Loss(
                    reason: "renewal \(lease.renewals) of the lease of \(lease.node), which was confirmed, is not there",
                    lifted: lease.restoration))
        }
        if !losses.isEmpty { return losses }
        if let node = known.node, found.server != known.server { try session.execute(Self.confirm, node) }
        note(server: found.server, for: known.node)
        return []
    }

    private func isMissing(_ lease: Lease, _ found: Found) -> Bool {
        if let renewals = found.renewals { return !found.isEnded && renewals < lease.renewals }
        // Nodes that were ended are forgotten: by a restoration, or by others whose clocks went on while this machine stood still. What is
        // not there any more on the start of the server that has confirmed it is gone by one of these.
        if found.server == lease.server { return false }
        return found.restoration == lease.restoration && here().duration(since: lease.asked) < leaseLength
    }
}

extension Recollection.Entry {
    fileprivate var loss: Loss {
        Loss(reason: "event \(seq) of run number \(run), which was durable, is not there as it was", lifted: lifted)
    }

    /// - Parameter mayBeRemoved: whether so much time lies behind the commit that its run may have been removed by rule.
    fileprivate func isMissing(_ row: Row, mayBeRemoved: Bool) throws -> Bool {
        if row.isNull(1) { return !mayBeRemoved }
        if try row.bool(2) { return false }
        if row.isNull(3) { return true }
        // What cannot be read is damaged, and found where it is read.
        return (try? row.hash(3)).map { $0 != hash } ?? false
    }
}
