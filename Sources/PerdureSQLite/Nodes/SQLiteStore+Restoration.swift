package import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    package func restoration() async throws(StoreError) -> Restoration? {
        try await read(on: browser) { try $0.lastRestoration() }
    }

    package func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration {
        // What it has in memory may be ahead of the file.
        guard isEngine || !EngineLock.isHeld(beside: path) else {
            throw .unusable(.storeLocked, "An engine has \(path) open. Stop it before its history is recovered.")
        }
        let now = now()
        return try await write { try $0.beginRestoration(by: by, reason: reason, after: number, now: now) }
    }

    package func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        let now = now(), limit = max(1, min(limit, Restoration.mostAtOnce))
        return try await write { try $0.markRestored(number, limit: limit, by: by, now: now) }
    }
}

extension Session {
    private static let columns =
        "number, noticed_at, noticed_by, reason, marked_up_to, marked, lifted_at, lifted_by"
    private static let last = SQL("SELECT \(columns) FROM restorations ORDER BY number DESC LIMIT 1")
    private static let one = SQL("SELECT \(columns) FROM restorations WHERE number = ?1")
    private static let standing = SQL("SELECT 1 FROM restorations WHERE lifted_at IS NULL")
    private static let begin = SQL("INSERT INTO restorations (noticed_at, noticed_by, reason) VALUES (?1, ?2, ?3)")
    /// What is missing now may be of runs that are marked.
    private static let beginAnew = SQL("UPDATE restorations SET marked_up_to = 0, marked = 0 WHERE lifted_at IS NULL")
    private static let lastLift = SQL(
        "SELECT lifted_at, lifted_by FROM restorations WHERE lifted_at IS NOT NULL ORDER BY number DESC LIMIT 1")
    private static let states = RunState.restorable.map { "'\($0.rawValue)'" }.joined(separator: ", ")
    private static let open = SQL(
        """
        SELECT number FROM runs WHERE number > ?1 AND state IN (\(states)) ORDER BY number LIMIT ?2
        """)
    /// What a claim does to it.
    private static let raiseEpochByOne = SQL("UPDATE runs SET epoch = epoch + 1 WHERE number = ?1")
    private static let raiseEpoch = SQL("UPDATE runs SET epoch = epoch + \(Restoration.epochRise) WHERE number = ?1")
    private static let progress = SQL(
        "UPDATE restorations SET marked_up_to = ?2, marked = ?3, lifted_at = ?4, lifted_by = ?5 WHERE number = ?1")

    /// History went back, and nothing may be begun.
    var isHeld: Bool { get throws { try exists(Self.standing) } }

    func lastRestoration() throws -> Restoration? { try first(Self.last) { try Restoration($0) } }

    /// Whether a run that is to begin has to say first that it may have begun in what is lost.
    func unsaidLoss(in run: NewRun, now: Timestamp) throws -> CommitRefusal? {
        let lift = try first(Self.lastLift) { row in
            Restoration.Lift(
                at: Timestamp(microseconds: try row.integer(0)),
                by: try row.optionalText(1).flatMap { Principal(stored: $0) } ?? LostPart.unknown)
        }
        return run.unsaidLoss(before: lift, now: now).map { .mayHaveBegun($0) }
    }

    func beginRestoration(by: String, reason: String, after number: Int64?, now: Timestamp) throws -> Restoration {
        if let number, let last = try lastRestoration(), last.number > number, !last.isStanding { return last }
        if try execute(Self.beginAnew) == 0 {
            try execute(Self.begin, now, by.legible, reason.legible)
            // A release that knows nothing of it would go on.
            try Opening.demand(schema: Schema.withRestorations, self)
        }
        guard let restoration = try lastRestoration() else { throw BadRow("what was written down just now is not there") }
        return restoration
    }

    /// Marks the next open runs, and lifts the hold when there are no more.
    func markRestored(_ number: Int64, limit: Int, by: Principal, now: Timestamp) throws -> Restoration {
        guard var restoration = try first(Self.one, number, row: { try Restoration($0) }) else {
            throw StoreError.unusable(.usage, "There is no restoration number \(number).")
        }
        guard restoration.isStanding else { return restoration }
        let found = try all(Self.open, restoration.markedUpTo, limit) { try $0.integer(0) }
        for run in found {
            do {
                try mark(run, by: by, now: now)
                restoration.marked += 1
            } catch let bad as BadRow {
                // As a claim would: nobody executes it, marked or not.
                try quarantine(run, reason: bad.description, now: now)
            } catch let failure as SQLFailure where failure.isAboutData {
                // The row breaks a rule of the schema and takes no change, so that nobody can own it: it is passed over. One that can be
                // owned would be executed unmarked.
                if try takesClaims(run) { throw failure }
            }
        }
        restoration.markedUpTo = found.last ?? restoration.markedUpTo
        if found.count < limit { (restoration.liftedAt, restoration.liftedBy) = (now, by) }
        try execute(
            Self.progress, number, restoration.markedUpTo, restoration.marked, restoration.liftedAt,
            restoration.liftedBy?.storedText)
        return restoration
    }

    private func takesClaims(_ run: Int64) throws -> Bool {
        do {
            try execute(Self.raiseEpochByOne, run)
            return true
        } catch let failure as SQLFailure where failure.isAboutData {
            return false
        }
    }

    private func mark(_ number: Int64, by: Principal, now: Timestamp) throws {
        guard let record = try run(number) else { return }
        guard var head = try head(of: number) else { throw BadRow("run number \(number) has no events") }
        let lost = LostPart(since: head.at, until: now, by: by)
        try execute(Self.raiseEpoch, number)
        try append([head.append(lost.event, run: record.id.description, now: now)], to: number)
    }
}

extension Restoration {
    fileprivate init(_ row: Statement) throws(BadRow) {
        self.init(
            number: try row.integer(0), noticedAt: Timestamp(microseconds: try row.integer(1)), noticedBy: try row.text(2),
            reason: try row.text(3), markedUpTo: try row.integer(4), marked: try row.integer(5),
            liftedAt: try row.optionalInteger(6).map(Timestamp.init(microseconds:)),
            liftedBy: try row.optionalText(7).flatMap { Principal(stored: $0) })
    }
}
