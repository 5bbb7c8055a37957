extension Schema {
    /// Quotas of namespaces, with what is taken of them.
    ///
    /// The triggers count, whoever commits, also code that knows nothing of this table. For files without quotas they cost a look at an
    /// empty table. A row without limits is one whose count is being made. `payload` is of use once it is counted. A large value stands in
    /// the digest that its event has, and counts where it is kept.
    static let version5 = """
        CREATE TABLE quotas (
            namespace TEXT PRIMARY KEY,
            max_open_runs INTEGER,
            max_payload INTEGER,
            rate_count INTEGER,
            rate_period INTEGER CHECK ((rate_period IS NOT NULL) = (rate_count IS NOT NULL)),
            rate_burst INTEGER CHECK ((rate_burst IS NOT NULL) = (rate_count IS NOT NULL)),
            open_runs INTEGER NOT NULL DEFAULT 0,
            payload INTEGER NOT NULL DEFAULT 0,
            is_counted INTEGER NOT NULL DEFAULT 0 CHECK (is_counted IN (0, 1)),
            is_payload_counted INTEGER NOT NULL DEFAULT 0 CHECK (is_payload_counted IN (0, 1)),
            next_slot INTEGER NOT NULL DEFAULT 0,
            changed_by TEXT NOT NULL,
            changed_at INTEGER NOT NULL,
            CHECK (is_counted <> 0 OR max_open_runs IS NULL AND max_payload IS NULL AND rate_count IS NULL),
            CHECK (is_payload_counted <> 0 OR max_payload IS NULL)
        ) STRICT, WITHOUT ROWID;

        CREATE TRIGGER runs_begun AFTER INSERT ON runs
        WHEN NEW.state IN \(open) AND EXISTS (SELECT 1 FROM quotas WHERE namespace = NEW.namespace)
        BEGIN
            UPDATE quotas SET open_runs = open_runs + 1 WHERE namespace = NEW.namespace;
        END;
        CREATE TRIGGER runs_moved AFTER UPDATE OF state ON runs
        WHEN (OLD.state IN \(open)) <> (NEW.state IN \(open))
            AND EXISTS (SELECT 1 FROM quotas WHERE namespace = NEW.namespace)
        BEGIN
            UPDATE quotas SET open_runs = open_runs + CASE WHEN NEW.state IN \(open) THEN 1 ELSE -1 END
            WHERE namespace = NEW.namespace;
        END;
        CREATE TRIGGER events_added AFTER INSERT ON events
        WHEN coalesce(NEW.input, NEW.output) IS NOT NULL AND EXISTS (SELECT 1 FROM quotas)
        BEGIN
            UPDATE quotas SET payload = payload + \(eventSize("NEW"))
            WHERE namespace = (SELECT namespace FROM runs WHERE number = NEW.run);
        END;
        CREATE TRIGGER events_removed AFTER DELETE ON events
        WHEN coalesce(OLD.input, OLD.output) IS NOT NULL AND EXISTS (SELECT 1 FROM quotas)
        BEGIN
            UPDATE quotas SET payload = payload - \(eventSize("OLD"))
            WHERE namespace = (SELECT namespace FROM runs WHERE number = OLD.run);
        END;
        CREATE TRIGGER blobs_added AFTER INSERT ON blobs WHEN EXISTS (SELECT 1 FROM quotas)
        BEGIN
            UPDATE quotas SET payload = payload + \(size("NEW.content"))
            WHERE namespace = (SELECT namespace FROM runs WHERE number = NEW.run);
        END;
        CREATE TRIGGER blobs_removed AFTER DELETE ON blobs WHEN EXISTS (SELECT 1 FROM quotas)
        BEGIN
            UPDATE quotas SET payload = payload - \(size("OLD.content"))
            WHERE namespace = (SELECT namespace FROM runs WHERE number = OLD.run);
        END;
        """

    /// The states of runs that have not ended and can be moved on.
    private static let open = "('queued', 'ready', 'running', 'waiting', 'blocked', 'parked', 'paused')"

    /// What is text is counted in bytes as well.
    private static func size(_ column: String) -> String { "length(CAST(\(column) AS BLOB))" }

    private static func eventSize(_ row: String) -> String {
        let sizes = ["input", "output"].map {
            "CASE WHEN \(row).\($0)_size IS NULL THEN coalesce(\(size("\(row).\($0)")), 0) ELSE 0 END"
        }
        return "(\(sizes.joined(separator: " + ")))"
    }

    /// How many runs of a namespace are open, and the bytes of its values, told from the tables alone.
    static func openRuns(of namespace: String) -> String {
        "(SELECT count(*) FROM runs WHERE state IN \(open) AND runs.namespace = \(namespace))"
    }

    static func payload(of namespace: String) -> String {
        """
        (SELECT coalesce(sum(\(eventSize("events"))), 0) FROM events CROSS JOIN runs ON runs.number = events.run
            WHERE runs.namespace = \(namespace))
        + (SELECT coalesce(sum(\(size("blobs.content"))), 0) FROM blobs CROSS JOIN runs ON runs.number = blobs.run
            WHERE runs.namespace = \(namespace))
        """
    }
}
