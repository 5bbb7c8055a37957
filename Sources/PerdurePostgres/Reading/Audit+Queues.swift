// Who stands in line, who is admitted, and what is counted of both.
extension Audit {
    private static let open = "('queued', 'ready', 'running', 'waiting', 'blocked', 'parked', 'paused')"

    static let places = SQL(
        """
        SELECT 'run ' || id || ' is ' || state || ' and has no place in its queue' FROM perdure.runs
        WHERE queue IS NOT NULL AND state IN \(open) AND NOT EXISTS (SELECT 1 FROM perdure.places WHERE run = runs.number)
        UNION ALL
        SELECT 'run number ' || places.run || ' has a place that it should not have' FROM perdure.places
            LEFT JOIN perdure.runs ON runs.number = places.run
        WHERE runs.number IS NULL OR runs.state NOT IN \(open) OR runs.queue IS DISTINCT FROM places.queue
            OR runs.is_admitted <> places.is_admitted
        UNION ALL
        SELECT 'run ' || runs.id || ' is ' || runs.state || CASE WHEN places.in_line THEN ' but still in its line'
            ELSE ' but not in its line' END
        FROM perdure.places JOIN perdure.runs ON runs.number = places.run
        WHERE (runs.state = 'queued' AND NOT places.in_line) OR (runs.state NOT IN ('queued', 'running') AND places.in_line)
        UNION ALL
        SELECT 'run ' || runs.id || ' is queued but not due at its deadline'
        FROM perdure.places JOIN perdure.runs ON runs.number = places.run
        WHERE runs.state = 'queued' AND runs.wake_at IS DISTINCT FROM places.deadline
        """)

    /// Whoever could be admitted must have a cause that leads to it.
    static let lines = SQL(
        """
        SELECT 'the queue ' || queues.name || ' of ' || queues.namespace || ' has room for the key ' || queue_keys.key
            || ' and is not looked at'
        FROM perdure.queues JOIN perdure.queue_keys ON queue_keys.queue = queues.number
        WHERE queues.due_at IS NULL AND queues.held < queues.concurrency AND NOT queue_keys.is_full
            AND NOT EXISTS (SELECT 1 FROM perdure.queue_changes WHERE queue_changes.queue = queues.number)
            AND EXISTS (
                SELECT 1 FROM perdure.places JOIN perdure.runs ON runs.number = places.run
                WHERE places.queue = queues.number AND places.key = queue_keys.key AND places.in_line AND runs.state = 'queued'
                    AND NOT EXISTS (SELECT 1 FROM perdure.wakes WHERE wakes.run = places.run))
        """)

    /// What was appended counts as well, be it that nobody has taken it in yet.
    static let counters = SQL(
        """
        WITH expected (queue, key, waiting, held) AS (
            SELECT queue, key, count(*) FILTER (WHERE in_line), count(*) FILTER (WHERE is_admitted) FROM perdure.places
            WHERE in_line OR is_admitted GROUP BY queue, key),
        found (queue, key, waiting, held) AS (
            SELECT queue, key, sum(waiting)::bigint, sum(held)::bigint FROM (
                SELECT queue, key, waiting, held FROM perdure.queue_keys
                UNION ALL SELECT queue, key, waiting, held FROM perdure.queue_changes) AS counted
            GROUP BY queue, key HAVING sum(waiting) <> 0 OR sum(held) <> 0)
        SELECT 'queue number ' || queue || ' has miscounted the key ' || key FROM (
            SELECT * FROM expected EXCEPT SELECT * FROM found) AS missing
        UNION ALL
        SELECT 'queue number ' || queue || ' counts what is not there for the key ' || key FROM (
            SELECT * FROM found EXCEPT SELECT * FROM expected) AS idle
        UNION ALL
        SELECT 'queue number ' || number || ' counts ' || held || ' admitted runs' FROM perdure.queues
        WHERE held <> (SELECT coalesce(sum(held), 0) FROM perdure.queue_keys WHERE queue = queues.number)
        UNION ALL
        SELECT 'queue number ' || queue || ' does not know whether the key ' || key || ' is full'
        FROM perdure.queue_keys JOIN perdure.queues ON queues.number = queue_keys.queue
        WHERE is_full IS DISTINCT FROM coalesce(queue_keys.held >= per_key, false)
        """)
}
