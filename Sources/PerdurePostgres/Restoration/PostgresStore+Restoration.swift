package import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    package func restoration() async throws(StoreError) -> Restoration? {
        try await read(on: browser) { try $0.lastRestoration() }
    }

    package func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration {
        let time = options.clock?()
        let restoration = try await write { try $0.beginRestoration(by: by, reason: reason, time, after: number) }
        bell.ring(Channel.all)
        return restoration
    }

    package func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        let time = options.clock?(), limit = max(1, min(limit, Restoration.mostAtOnce))
        let restoration = try await write { try $0.markRestored(number, limit: limit, by: by, time) }
        if !restoration.isStanding { bell.ring(Channel.all) }
        return restoration
    }
}

extension Session {
    private static let columns =
        "number, noticed_at, noticed_by, reason, marked_up_to, marked, lifted_at, lifted_by"
    private static let last = SQL("SELECT \(columns) FROM perdure.restorations ORDER BY number DESC LIMIT 1")
    private static let one = SQL("SELECT \(columns) FROM perdure.restorations WHERE number = $1::bigint FOR NO KEY UPDATE")
    private static let standing = SQL("SELECT \(columns) FROM perdure.restorations WHERE lifted_at IS NULL")
    /// Waits for every commit that makes runs, and has those that come later wait until this transaction is over: they see what it has
    /// done, and what they make has higher numbers than any that it can see.
    private static let alone = AdvisoryLock.restorations.take
    /// The same for what nodes of the release before are about to commit, which do not know that lock.
    private static let awaitNodes = SQL(
        "SELECT 1 FROM perdure.nodes WHERE ended_at IS NULL AND server IS NULL ORDER BY id FOR UPDATE")
    /// Whoever stands still meanwhile must not hold up everybody, on whichever connection it is.
    private static let patience =
        "SET LOCAL lock_timeout = '3s'; SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL synchronous_commit = on"
    private static let begin = SQL(
        """
        INSERT INTO perdure.restorations (noticed_at, noticed_by, reason)
        SELECT \(StoreClock.now("$1")), $2::text, $3::text
        """)
    /// What is missing now may be of runs that are marked.
    private static let beginAnew = SQL("UPDATE perdure.restorations SET marked_up_to = 0, marked = 0 WHERE lifted_at IS NULL")
    /// They learn of it by their leases, and what they still commit is refused.
    private static let endNodes = SQL("UPDATE perdure.nodes SET ended_at = \(StoreClock.now("$1")) WHERE ended_at IS NULL")
    private static let clock = SQL("SELECT \(StoreClock.now("$1"))")
    private static let states = RunState.restorable.map { "'\($0.rawValue)'" }.joined(separator: ", ")
    private static let open = SQL(
        """
        SELECT number FROM perdure.runs WHERE number > $1::bigint AND state IN (\(states)) ORDER BY number LIMIT $2::bigint
        """)
    private static let lock = SQL(
        "SELECT number FROM perdure.runs WHERE number = ANY($1::bigint[]) AND state IN (\(states)) ORDER BY number FOR NO KEY UPDATE"
    )
    private static let headsToMark = SQL(
        """
        SELECT runs.number, runs.id::text, \(ChainHead.columns)
        FROM unnest($1::bigint[]) AS wanted (number) JOIN perdure.runs USING (number) \(ChainHead.join)
        """)
    private static let raiseEpochs = SQL(
        "UPDATE perdure.runs SET epoch = epoch + \(Restoration.epochRise) WHERE number = ANY($1::bigint[])")
    /// What a claim does to it.
    private static let raiseEpochByOne = SQL("UPDATE perdure.runs SET epoch = epoch + 1 WHERE number = $1::bigint")
    private static let endApprovals = SQL(
        "DELETE FROM perdure.open_requests WHERE run = ANY($1::bigint[]) AND kind = 'approval.requested'")
    private static let progress = SQL(
        """
        UPDATE perdure.restorations SET marked_up_to = $2::bigint, marked = marked + $3::bigint, lifted_at = $4::bigint,
            lifted_by = $5::text
        WHERE number = $1::bigint
        """)

    func lastRestoration() throws -> Restoration? { try first(Self.last) { try Restoration($0) } }

    func beginRestoration(by: String, reason: String, _ time: Timestamp?, after number: Int64? = nil) throws -> Restoration {
        try run(Self.patience)
        _ = try exists(Self.alone)
        _ = try exists(Self.awaitNodes)
        if let number, let last = try lastRestoration(), last.number > number, !last.isStanding { return last }
        let isNew = try execute(Self.beginAnew) == 0
        if isNew { try execute(Self.begin, time, by.legible, reason.legible) }
        // Those that were let in since have begun nothing, as far as whoever works it off knows.
        if isNew || number == nil { try execute(Self.endNodes, time) }
        guard let restoration = try first(Self.standing, row: { try Restoration($0) }) else { throw Overtaken() }
        return restoration
    }

    /// Marks the next open runs, and lifts the hold when there are no more.
    func markRestored(_ number: Int64, limit: Int, by: Principal, _ time: Timestamp?) throws -> Restoration {
        _ = try exists(Self.alone)
        guard var restoration = try first(Self.one, number, row: { try Restoration($0) }) else {
            throw StoreError.unusable(.usage, "There is no restoration number \(number).")
        }
        guard restoration.isStanding, let now = try first(Self.clock, time, row: { try $0.time(0) }) else { return restoration }
        let found = try all(Self.open, restoration.markedUpTo, limit) { try $0.integer(0) }
        let locked = try all(Self.lock, found) { try $0.integer(0) }
        let marked = try mark(locked, by: by, now: now)
        restoration.markedUpTo = found.last ?? restoration.markedUpTo
        restoration.marked += Int64(marked)
        if found.count < limit { (restoration.liftedAt, restoration.liftedBy) = (now, by) }
        try execute(
            Self.progress, number, restoration.markedUpTo, marked, restoration.liftedAt,
            restoration.liftedBy?.storedText)
        return restoration
    }

    /// Marks all that takes a change. Who stands in the way of others is found by halves.
    ///
    /// - Returns: how many could be marked.
    private func mark(_ runs: [Int64], by: Principal, now: Timestamp) throws -> Int {
        if runs.isEmpty { return 0 }
        try run("SAVEPOINT marks")
        do {
            let marked = try markTogether(runs, by: by, now: now)
            try run("RELEASE SAVEPOINT marks")
            return marked
        } catch let failure as ServerFailure where failure.isAboutData {
            try run("ROLLBACK TO SAVEPOINT marks; RELEASE SAVEPOINT marks")
            if runs.count == 1 { return try passOver(runs[0], failure) }
            let (first, rest) = (Array(runs.prefix(runs.count / 2)), Array(runs.dropFirst(runs.count / 2)))
            return try mark(first, by: by, now: now) + mark(rest, by: by, now: now)
        }
    }

    /// The row breaks a rule of the schema and takes no change, so that nobody can own it. One that can be owned would be executed
    /// unmarked.
    private func passOver(_ run: Int64, _ failure: ServerFailure) throws -> Int {
        try self.run("SAVEPOINT marks")
        do {
            try execute(Self.raiseEpochByOne, run)
        } catch let refusal as ServerFailure where refusal.isAboutData {
            try self.run("ROLLBACK TO SAVEPOINT marks; RELEASE SAVEPOINT marks")
            return 0
        }
        throw failure
    }

    private func markTogether(_ runs: [Int64], by: Principal, now: Timestamp) throws -> Int {
        var events = EventColumns(), marked: [Int64] = [], broken: [(run: Int64, reason: String)] = []
        _ = try all(Self.headsToMark, runs) { row in
            let run = try row.integer(0)
            do {
                guard var head = try ChainHead(row, from: 2, run: run) else { throw BadRow("run number \(run) has no events") }
                let lost = LostPart(since: head.at, until: now, by: by)
                events.add(head.append(lost.event, run: try row.text(1), now: now), run)
                marked.append(run)
            } catch let bad as BadRow {
                broken.append((run, bad.description))
            }
        }
        // As a claim would: nobody executes it, marked or not.
        for (run, reason) in broken { try quarantine(run, reason: reason, now: now) }
        if marked.isEmpty { return 0 }
        try pipeline { [events, marked] pipe in
            try events.send(pipe)
            try pipe.execute(Self.raiseEpochs, marked)
            try pipe.execute(Self.endApprovals, marked)
        }
        return marked.count
    }
}

extension CommitFacts {
    private static let withOthers = AdvisoryLock.restorations.share
    private static let lastLift = SQL(
        "SELECT lifted_at, lifted_by FROM perdure.restorations WHERE lifted_at IS NOT NULL ORDER BY number DESC LIMIT 1")

    /// Of a commit that makes runs: whoever says that history went back, marks runs or lifts the hold waits for it. First of all locks.
    func holdOffRestorations(_ pipe: Pipeline) throws {
        try pipe.execute(Self.withOthers)
        try pipe.all(Self.lastLift) { [self] row in
            lift = Restoration.Lift(
                at: try row.time(0), by: try row.optionalText(1).flatMap { Principal(stored: $0) } ?? LostPart.unknown)
        }
    }

    /// Whether a run that is to begin has to say first that it may have begun in what is lost.
    func unsaidLoss(in run: NewRun) -> CommitRefusal? { run.unsaidLoss(before: lift, now: now).map { .mayHaveBegun($0) } }
}

extension Restoration {
    fileprivate init(_ row: Row) throws(BadRow) {
        let lifted = try row.optionalInteger(6).map(Timestamp.init(microseconds:))
        self.init(
            number: try row.integer(0), noticedAt: try row.time(1), noticedBy: try row.text(2), reason: try row.text(3),
            markedUpTo: try row.integer(4), marked: try row.integer(5), liftedAt: lifted,
            liftedBy: try row.optionalText(7).flatMap { Principal(stored: $0) })
    }
}
