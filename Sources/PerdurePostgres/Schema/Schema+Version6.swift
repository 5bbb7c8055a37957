extension Schema {
    /// Quotas of namespaces, with what is taken of them.
    ///
    /// Triggers count, whoever commits, nodes of the release before as well, which know nothing of this. Those of `runs`, `events` and
    /// `blobs` are made with the first quota that needs them and dropped after the last (`QuotaTriggers`), so that a store without quotas
    /// has none. They touch no row that commits share: what changes they append to `quota_changes`. Whoever starts runs holds the row of
    /// the namespace and takes the changes in; of every 256 changes one takes them in as well, if nobody holds the row, so that they do not
    /// pile up where nobody starts anything.
    ///
    /// A row without limits is one whose count is being made. `payload` is of use once it is counted. A large value counts where it is
    /// kept.
    static let version6 = """
        CREATE TABLE perdure.quotas (
            namespace text COLLATE "C" PRIMARY KEY,
            max_open_runs bigint,
            max_payload bigint,
            rate_count bigint,
            rate_period bigint CHECK ((rate_period IS NOT NULL) = (rate_count IS NOT NULL)),
            rate_burst bigint CHECK ((rate_burst IS NOT NULL) = (rate_count IS NOT NULL)),
            open_runs bigint NOT NULL DEFAULT 0,
            payload bigint NOT NULL DEFAULT 0,
            is_counted boolean NOT NULL DEFAULT false,
            is_payload_counted boolean NOT NULL DEFAULT false,
            next_slot bigint NOT NULL DEFAULT 0,
            changed_by text NOT NULL,
            changed_at bigint NOT NULL,
            CHECK (is_counted OR max_open_runs IS NULL AND max_payload IS NULL AND rate_count IS NULL),
            CHECK (is_payload_counted OR max_payload IS NULL)
        ) WITH (fillfactor = 50);

        CREATE TABLE perdure.quota_changes (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            namespace text COLLATE "C" NOT NULL,
            open_runs bigint NOT NULL,
            payload bigint NOT NULL
        ) WITH (autovacuum_vacuum_scale_factor = 0.02);
        CREATE INDEX quota_changes_order ON perdure.quota_changes (namespace, number);

        CREATE FUNCTION perdure.take_in_quota_changes() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            PERFORM 1 FROM perdure.quotas WHERE namespace = NEW.namespace FOR NO KEY UPDATE SKIP LOCKED;
            IF FOUND THEN
                WITH taken AS (
                    DELETE FROM perdure.quota_changes WHERE namespace = NEW.namespace RETURNING open_runs, payload)
                UPDATE perdure.quotas SET open_runs = quotas.open_runs + summed.open_runs, payload = quotas.payload + summed.payload
                FROM (SELECT coalesce(sum(open_runs), 0)::bigint AS open_runs, coalesce(sum(payload), 0)::bigint AS payload
                    FROM taken) AS summed
                WHERE quotas.namespace = NEW.namespace;
            END IF;
            RETURN NULL;
        END $body$;
        CREATE TRIGGER quota_changes_taken_in AFTER INSERT ON perdure.quota_changes FOR EACH ROW
            WHEN (NEW.number % 256 = 0) EXECUTE FUNCTION perdure.take_in_quota_changes();

        CREATE FUNCTION perdure.count_begun_runs() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            INSERT INTO perdure.quota_changes (namespace, open_runs, payload)
            SELECT quotas.namespace, count(*), 0 FROM changed JOIN perdure.quotas ON quotas.namespace = changed.namespace
            WHERE changed.state IN \(open) GROUP BY quotas.namespace ORDER BY quotas.namespace;
            RETURN NULL;
        END $body$;
        CREATE FUNCTION perdure.count_moved_run() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            INSERT INTO perdure.quota_changes (namespace, open_runs, payload)
            SELECT namespace, CASE WHEN NEW.state IN \(open) THEN 1 ELSE -1 END, 0 FROM perdure.quotas
            WHERE namespace = NEW.namespace;
            RETURN NULL;
        END $body$;
        CREATE FUNCTION perdure.count_values() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            INSERT INTO perdure.quota_changes (namespace, open_runs, payload)
            SELECT quotas.namespace, 0, CASE TG_OP WHEN 'DELETE' THEN -sum(\(eventSize("changed"))) ELSE sum(\(eventSize("changed"))) END
            FROM changed JOIN perdure.runs ON runs.number = changed.run JOIN perdure.quotas ON quotas.namespace = runs.namespace
            GROUP BY quotas.namespace HAVING sum(\(eventSize("changed"))) <> 0 ORDER BY quotas.namespace;
            RETURN NULL;
        END $body$;
        CREATE FUNCTION perdure.count_blobs() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            INSERT INTO perdure.quota_changes (namespace, open_runs, payload)
            SELECT quotas.namespace, 0,
                CASE TG_OP WHEN 'DELETE' THEN -sum(octet_length(changed.content)) ELSE sum(octet_length(changed.content)) END
            FROM changed JOIN perdure.runs ON runs.number = changed.run JOIN perdure.quotas ON quotas.namespace = runs.namespace
            GROUP BY quotas.namespace HAVING sum(octet_length(changed.content)) <> 0 ORDER BY quotas.namespace;
            RETURN NULL;
        END $body$;
        """

    /// What is made with the first quota.
    static let runTriggers = """
        CREATE TRIGGER runs_begun AFTER INSERT ON perdure.runs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
            EXECUTE FUNCTION perdure.count_begun_runs();
        CREATE TRIGGER runs_moved AFTER UPDATE OF state ON perdure.runs FOR EACH ROW
            WHEN ((OLD.state IN \(open)) <> (NEW.state IN \(open))) EXECUTE FUNCTION perdure.count_moved_run();
        """

    /// What is made with the first quota of bytes.
    static let valueTriggers = """
        CREATE TRIGGER events_added AFTER INSERT ON perdure.events REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
            EXECUTE FUNCTION perdure.count_values();
        CREATE TRIGGER events_removed AFTER DELETE ON perdure.events REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
            EXECUTE FUNCTION perdure.count_values();
        CREATE TRIGGER blobs_added AFTER INSERT ON perdure.blobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
            EXECUTE FUNCTION perdure.count_blobs();
        CREATE TRIGGER blobs_removed AFTER DELETE ON perdure.blobs REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
            EXECUTE FUNCTION perdure.count_blobs();
        """

    /// The states of runs that have not ended and can be moved on.
    private static let open = "('queued', 'ready', 'running', 'waiting', 'blocked', 'parked', 'paused')"

    private static func eventSize(_ row: String) -> String {
        ["input", "output"].map { "CASE WHEN \(row).\($0)_size IS NULL THEN coalesce(octet_length(\(row).\($0)), 0) ELSE 0 END" }
            .joined(separator: " + ")
    }

    /// How many runs of a namespace are open, and the bytes of its values, told from the tables alone.
    static func openRuns(of namespace: String) -> String {
        "(SELECT count(*) FROM perdure.runs WHERE state IN \(open) AND runs.namespace = \(namespace))"
    }

    static func payload(of namespace: String) -> String {
        """
        ((SELECT coalesce(sum(\(eventSize("events"))), 0)::bigint FROM perdure.events JOIN perdure.runs ON runs.number = events.run
            WHERE runs.namespace = \(namespace))
        + (SELECT coalesce(sum(octet_length(blobs.content)), 0)::bigint
            FROM perdure.blobs JOIN perdure.runs ON runs.number = blobs.run WHERE runs.namespace = \(namespace)))
        """
    }
}
