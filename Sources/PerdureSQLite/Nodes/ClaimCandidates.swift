internal import PerdureHistory
internal import PerdureStore

/// Finds the runs that have something to do for a node, oldest cause first.
///
/// What a run may be claimed for depends on its state:
/// - ready: that alone; waiting and parked: their due time; queued: their deadline, and not a moment earlier, since whoever looked would
///   only give them back;
/// - blocked: a build it has not met, which then reads the inbox as well; or a message that lets every build try again;
/// - running: only if the owner has died;
/// - all of these, paused and terminated ones: unread messages, as `RunState.wake` says.
///
/// All but the messages that need no code need code for the run's workflow. Each cause has an index that begins with the workflow, so
/// that runs which nobody hosts cost nothing however many are due; and messages are found by what they wake.
struct ClaimCandidates {
    let request: ClaimRequest
    let now: Timestamp

    private struct Found: Hashable {
        let run: Int64
        let cause: Timestamp
    }

    private static let ready = SQL(
        "SELECT number, since FROM runs WHERE state = 'ready' AND workflow = ?1 AND version = ?2 ORDER BY since LIMIT ?3")
    private static let due = SQL(
        """
        SELECT number, wake_at FROM runs WHERE wake_at IS NOT NULL AND workflow = ?1 AND version = ?2 AND wake_at <= ?4
            AND (state <> 'queued' OR wake_at <= ?5)
        ORDER BY wake_at LIMIT ?3
        """)
    private static let blocked = SQL(
        """
        SELECT number, since FROM runs WHERE state = 'blocked' AND workflow = ?1 AND version = ?2
            AND NOT EXISTS (SELECT 1 FROM blocked_builds WHERE run = runs.number AND build = ?4)
        ORDER BY since LIMIT ?3
        """)
    private static let deadNodes = SQL("SELECT id FROM nodes WHERE ended_at IS NOT NULL")
    private static let orphaned = SQL(
        "SELECT number, since FROM runs WHERE owner = ?1 AND workflow = ?2 AND version = ?3 ORDER BY since LIMIT ?4")
    private static let told = SQL(
        """
        SELECT run, host_at FROM wakes WHERE host_at IS NOT NULL AND workflow = ?1 AND version = ?2 ORDER BY host_at LIMIT ?3
        """)
    // Passes over what living owners are about to read, and over nothing else.
    private static let toldAnyone = SQL(
        """
        SELECT wakes.run, wakes.anyone_at FROM wakes INDEXED BY wakes_anyone CROSS JOIN runs ON runs.number = wakes.run
        WHERE wakes.anyone_at IS NOT NULL
            AND (runs.owner IS NULL OR runs.owner IN (SELECT id FROM nodes WHERE ended_at IS NOT NULL))
        ORDER BY wakes.anyone_at LIMIT ?1
        """)

    func find(_ session: Session) throws -> [Int64] {
        let found = try request.only.map { try among($0, session) } ?? everywhere(session)
        var oldest: [Int64: Timestamp] = [:]
        for one in found { oldest[one.run] = min(one.cause, oldest[one.run] ?? one.cause) }
        return oldest.map { Found(run: $0.key, cause: $0.value) }
            .sorted { ($0.cause, $0.run) < ($1.cause, $1.run) }
            .prefix(request.limit).map(\.run)
    }

    /// The oldest of each cause, at most the limit of each.
    private func everywhere(_ session: Session) throws -> [Found] {
        var found: [Found] = []
        let limit = request.limit
        // A run with an owner that cannot be read is found to be broken where it is looked at, and holds up no other.
        let deadNodes = try session.all(Self.deadNodes) { try? $0.text(0) }.compactMap(\.self)
        for hosted in request.hosted {
            found += try session.all(Self.ready, hosted.workflow, hosted.version, limit, row: Self.read)
            found += try session.all(Self.due, hosted.workflow, hosted.version, limit, now + request.ahead, now, row: Self.read)
            found += try session.all(Self.blocked, hosted.workflow, hosted.version, limit, request.build, row: Self.read)
            found += try session.all(Self.told, hosted.workflow, hosted.version, limit, row: Self.read)
            for node in deadNodes {
                found += try session.all(Self.orphaned, node, hosted.workflow, hosted.version, limit, row: Self.read)
            }
        }
        return try found + session.all(Self.toldAnyone, limit, row: Self.read)
    }

    private static func read(_ row: Statement) throws(BadRow) -> Found {
        // Since when is only for the order.
        Found(run: try row.integer(0), cause: Timestamp(microseconds: (try? row.integer(1)) ?? 0))
    }

    // MARK: Given runs

    private static let causeOfOne = SQL(
        """
        SELECT runs.number, coalesce(runs.wake_at, wakes.host_at, wakes.anyone_at, runs.since)
        FROM runs LEFT JOIN wakes ON wakes.run = runs.number
        WHERE runs.number = ?1 AND (
            ?2 AND (
                runs.state = 'ready'
                OR runs.wake_at <= CASE runs.state WHEN 'queued' THEN ?5 ELSE ?3 END
                OR wakes.host_at IS NOT NULL
                OR runs.state = 'blocked'
                    AND NOT EXISTS (SELECT 1 FROM blocked_builds WHERE run = runs.number AND build = ?4)
                OR runs.owner IN (SELECT id FROM nodes WHERE ended_at IS NOT NULL))
            OR wakes.anyone_at IS NOT NULL
                AND (runs.owner IS NULL OR runs.owner IN (SELECT id FROM nodes WHERE ended_at IS NOT NULL)))
        """)
    private static let workflow = SQL("SELECT workflow, version FROM runs WHERE number = ?1")

    private func among(_ runs: [Int64], _ session: Session) throws -> [Found] {
        let hosted = Set(request.hosted)
        return try runs.compactMap { run in
            let workflow = try session.first(Self.workflow, run) {
                ClaimRequest.Hosted(workflow: try $0.text(0), version: try $0.text(1))
            }
            guard let workflow else { return nil }
            return try session.first(
                Self.causeOfOne, run, hosted.contains(workflow), now + request.ahead, request.build, now, row: Self.read)
        }
    }
}
