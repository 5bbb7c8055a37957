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
/// that runs which nobody hosts cost nothing however many are due; and messages are found by what they wake. Other nodes look at the same
/// time: what is found here is only asked for when it is locked.
struct ClaimCandidates {
    let request: ClaimRequest
    let now: Timestamp

    /// What this node hosts, with the oldest of each cause, at most the limit of each.
    private static let everywhere = SQL(
        """
        SELECT cause.number, cause.at FROM unnest($1::text[], $2::text[]) AS hosted (workflow, version) CROSS JOIN LATERAL (
            (SELECT number, since AS at FROM perdure.runs
                WHERE state = 'ready' AND runs.workflow = hosted.workflow AND runs.version = hosted.version
                ORDER BY since LIMIT $3::bigint)
            UNION ALL (SELECT number, wake_at FROM perdure.runs
                WHERE wake_at IS NOT NULL AND runs.workflow = hosted.workflow AND runs.version = hosted.version
                    AND wake_at <= $4::bigint AND (state <> 'queued' OR wake_at <= $6::bigint)
                ORDER BY wake_at LIMIT $3::bigint)
            UNION ALL (SELECT number, since FROM perdure.runs
                WHERE state = 'blocked' AND runs.workflow = hosted.workflow AND runs.version = hosted.version
                    AND NOT EXISTS (SELECT 1 FROM perdure.blocked_builds WHERE run = runs.number AND build = $5::text)
                ORDER BY since LIMIT $3::bigint)
            UNION ALL (SELECT run, host_at FROM perdure.wakes
                WHERE host_at IS NOT NULL AND wakes.workflow = hosted.workflow AND wakes.version = hosted.version
                ORDER BY host_at LIMIT $3::bigint)
            UNION ALL (SELECT owned.number, owned.since FROM perdure.nodes CROSS JOIN LATERAL (
                    SELECT number, since FROM perdure.runs
                    WHERE owner = nodes.id AND runs.workflow = hosted.workflow AND runs.version = hosted.version
                    ORDER BY since LIMIT $3::bigint) AS owned
                WHERE nodes.ended_at IS NOT NULL)
        ) AS cause (number, at)
        """)
    /// Passes over what living owners are about to read, and over nothing else. Not a join, which may begin at the runs: there are many
    /// more of these.
    static let toldAnyone = SQL(
        """
        SELECT run, anyone_at FROM perdure.wakes
        WHERE anyone_at IS NOT NULL AND (
            SELECT runs.owner IS NULL OR runs.owner IN (SELECT id FROM perdure.nodes WHERE ended_at IS NOT NULL)
            FROM perdure.runs WHERE runs.number = wakes.run)
        ORDER BY anyone_at LIMIT $1::bigint
        """)

    /// - Parameter tried: What was found before, and was not to be had.
    func find(besides tried: Set<Int64>, _ session: Session) throws -> [Int64] {
        if let only = request.only { return only.filter { !tried.contains($0) } }
        let limit = request.limit + tried.count
        var oldest: [Int64: Timestamp] = [:]
        try session.pipeline { pipe in
            let note = { (row: Row) throws in
                let run = try row.integer(0), cause = try row.time(1)
                oldest[run] = min(cause, oldest[run] ?? cause)
            }
            if !request.hosted.isEmpty {
                try pipe.all(
                    Self.everywhere, request.hosted.map(\.workflow), request.hosted.map(\.version), limit,
                    now + request.ahead, request.build, now, row: note)
            }
            try pipe.all(Self.toldAnyone, limit, row: note)
        }
        return oldest.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key).filter { !tried.contains($0) }
    }
}
