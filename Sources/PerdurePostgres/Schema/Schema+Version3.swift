extension Schema {
    /// Queues. What earlier releases do is not hindered by it: until the first queue is made they may use the store as before.
    ///
    /// The rules of a run's states are widened without a look at the rows that are there, which keep the narrower ones: a look would hold
    /// up every commit for as long as it takes. Those of several columns have names that the server has made up, so they are found by their
    /// columns.
    ///
    /// A run of a queue has a row in `places` as long as it is open: in the line (`in_line`, also while it is lent out for a message),
    /// paused before its turn (neither), or admitted. Commits touch no row that they share with others: what they change of the numbers of
    /// a queue they append to `queue_changes`. Whoever admits holds the row of the queue, takes the changes in, and is the only one who
    /// writes `queue_keys`: for each key who waits and who is admitted, and its turn. Admission reads nothing but the line and the keys
    /// that have one and are not full.
    static let version3 = """
        ALTER TABLE perdure.runs ADD COLUMN queue bigint, ADD COLUMN is_admitted boolean NOT NULL DEFAULT true;
        DO $$
            DECLARE rule record;
            BEGIN
                FOR rule IN
                    SELECT conname FROM pg_catalog.pg_constraint AS c
                    WHERE conrelid = 'perdure.runs'::regclass AND contype = 'c' AND (
                        SELECT array_agg(attname::text ORDER BY attname) FROM pg_catalog.pg_attribute
                        WHERE attrelid = c.conrelid AND attnum = ANY(c.conkey)) IN (ARRAY['state'], ARRAY['state', 'wake_at'])
                LOOP EXECUTE format('ALTER TABLE perdure.runs DROP CONSTRAINT %I', rule.conname);
                END LOOP;
            END
        $$;
        ALTER TABLE perdure.runs
            ADD CONSTRAINT runs_known_states CHECK (state IN ('queued', 'ready', 'running', 'waiting', 'blocked', 'parked', 'paused',
                'quarantined', 'completed', 'failed', 'cancelled', 'terminated')) NOT VALID,
            ADD CONSTRAINT runs_wake_times CHECK (wake_at IS NULL OR state IN ('waiting', 'parked', 'queued')) NOT VALID,
            ADD CONSTRAINT runs_queued CHECK (state <> 'queued' OR NOT is_admitted) NOT VALID,
            ADD CONSTRAINT runs_admitted CHECK (is_admitted OR queue IS NOT NULL) NOT VALID;
        ALTER TABLE perdure.nodes ADD COLUMN level bigint NOT NULL DEFAULT 0;

        CREATE TABLE perdure.queues (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            namespace text COLLATE "C" NOT NULL,
            name text COLLATE "C" NOT NULL,
            concurrency bigint NOT NULL,
            per_key bigint,
            rate_count bigint,
            rate_period bigint CHECK ((rate_period IS NOT NULL) = (rate_count IS NOT NULL)),
            rate_burst bigint CHECK ((rate_burst IS NOT NULL) = (rate_count IS NOT NULL)),
            held bigint NOT NULL DEFAULT 0,
            turn bigint NOT NULL DEFAULT 0,
            next_slot bigint NOT NULL DEFAULT 0,
            due_at bigint,
            changed_by text NOT NULL,
            changed_at bigint NOT NULL,
            CONSTRAINT queues_names UNIQUE (namespace, name)
        ) WITH (fillfactor = 50);

        CREATE TABLE perdure.places (
            run bigint PRIMARY KEY,
            queue bigint NOT NULL,
            key text COLLATE "C" NOT NULL,
            priority bigint NOT NULL,
            deadline bigint,
            in_line boolean NOT NULL,
            is_admitted boolean NOT NULL CHECK (NOT in_line OR NOT is_admitted)
        ) WITH (autovacuum_vacuum_scale_factor = 0.02);
        CREATE INDEX places_line ON perdure.places (queue, key, priority DESC, run) WHERE in_line;
        CREATE INDEX places_held ON perdure.places (queue) WHERE is_admitted;

        CREATE TABLE perdure.queue_changes (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            queue bigint NOT NULL,
            key text COLLATE "C" NOT NULL,
            waiting bigint NOT NULL,
            held bigint NOT NULL
        ) WITH (autovacuum_vacuum_scale_factor = 0.02);
        CREATE INDEX queue_changes_order ON perdure.queue_changes (queue, number);

        CREATE TABLE perdure.queue_keys (
            queue bigint NOT NULL,
            key text COLLATE "C" NOT NULL,
            waiting bigint NOT NULL,
            held bigint NOT NULL,
            turn bigint NOT NULL,
            is_full boolean NOT NULL,
            CONSTRAINT queue_keys_names PRIMARY KEY (queue, key)
        ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
        CREATE INDEX queue_keys_turns ON perdure.queue_keys (queue, turn, key) WHERE waiting > 0 AND NOT is_full;
        """
}
