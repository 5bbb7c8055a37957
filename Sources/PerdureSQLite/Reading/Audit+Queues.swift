// Who stands in line, who is admitted, and what is counted of both.
extension Audit {
    private static let open = "('queued', 'ready', 'running', 'waiting', 'blocked', 'parked', 'paused')"

    static let places = SQL(
        """
        SELECT 'run ' || id || ' is ' || state || ' and has no place in its queue' FROM runs
        WHERE queue IS NOT NULL AND state IN \(open) AND number NOT IN (SELECT run FROM places)
        UNION ALL
        SELECT 'run number ' || places.run || ' has a place that it should not have' FROM places
            LEFT JOIN runs ON runs.number = places.run
        WHERE runs.number IS NULL OR runs.state NOT IN \(open) OR runs.queue IS NOT places.queue
            OR runs.is_admitted <> places.is_admitted
        UNION ALL
        SELECT 'run ' || runs.id || ' is ' || runs.state || CASE places.in_line WHEN 0 THEN ' but not in its line'
            ELSE ' but still in its line' END
        FROM places JOIN runs ON runs.number = places.run
        WHERE (runs.state = 'queued' AND places.in_line = 0) OR (runs.state NOT IN ('queued', 'running') AND places.in_line <> 0)
        UNION ALL
        SELECT 'run ' || runs.id || ' is queued but not due at its deadline' FROM places JOIN runs ON runs.number = places.run
        WHERE runs.state = 'queued' AND runs.wake_at IS NOT places.deadline
        """)

    /// Whoever could be admitted must have a cause that leads to it.
    static let lines = SQL(
        """
        SELECT 'the queue ' || queues.name || ' of ' || queues.namespace || ' has room for the key ' || queue_keys.key
            || ' and is not looked at'
        FROM queues JOIN queue_keys ON queue_keys.queue = queues.number
        WHERE queues.due_at IS NULL AND queues.held < queues.concurrency AND queue_keys.is_full = 0 AND EXISTS (
            SELECT 1 FROM places JOIN runs ON runs.number = places.run
            WHERE places.queue = queues.number AND places.key = queue_keys.key AND places.in_line <> 0 AND runs.state = 'queued'
                AND NOT EXISTS (SELECT 1 FROM wakes WHERE wakes.run = places.run))
        """)

    static let counters = SQL(
        """
        WITH expected (queue, key, waiting, held) AS (
            SELECT queue, key, sum(in_line), sum(is_admitted) FROM places GROUP BY queue, key HAVING sum(in_line + is_admitted) > 0),
        found (queue, key, waiting, held) AS (SELECT queue, key, waiting, held FROM queue_keys)
        SELECT 'queue number ' || queue || ' has miscounted the key ' || key FROM (
            SELECT * FROM expected EXCEPT SELECT * FROM found)
        UNION ALL
        SELECT 'queue number ' || queue || ' counts what is not there for the key ' || key FROM (
            SELECT * FROM found EXCEPT SELECT * FROM expected)
        UNION ALL
        SELECT 'queue number ' || number || ' counts ' || held || ' admitted runs' FROM queues
        WHERE held <> (SELECT count(*) FROM places WHERE queue = queues.number AND is_admitted <> 0)
        UNION ALL
        SELECT 'queue number ' || queue || ' does not know whether the key ' || key || ' is full' FROM queue_keys
        WHERE is_full IS NOT coalesce(held >= (SELECT per_key FROM queues WHERE number = queue_keys.queue), 0)
        """)
}
