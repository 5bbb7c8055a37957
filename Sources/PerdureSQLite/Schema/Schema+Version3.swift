extension Schema {
    /// Queues. SQLite changes no CHECK of a table that is there, so that `runs` is made again, with two more columns, and `queued` among
    /// its states.
    ///
    /// A run of a queue has a row in `places` as long as it is open: in the line (`in_line`, also while it is lent out for a message),
    /// paused before its turn (neither), or admitted. Only the line is in the index that admission reads. `queue_keys` counts for each key
    /// who waits and who is admitted, and has its turn; a key without either has no row. A queue is due when somebody may have got a cause
    /// to be admitted, or when its rate allows the next one.
    static let version3 = """
        CREATE TABLE runs_with_queues (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            namespace TEXT NOT NULL,
            workflow TEXT NOT NULL,
            version TEXT NOT NULL,
            key TEXT,
            input_digest TEXT NOT NULL,
            salt BLOB NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('queued', 'ready', 'running', 'waiting', 'blocked', 'parked', 'paused', 'quarantined',
                'completed', 'failed', 'cancelled', 'terminated')),
            epoch INTEGER NOT NULL,
            owner TEXT CHECK (state = 'terminated' OR (owner IS NOT NULL) = (state = 'running')),
            wake_at INTEGER CHECK (wake_at IS NULL OR state IN ('waiting', 'parked', 'queued')),
            since INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            closed_at INTEGER CHECK (state = 'quarantined'
                OR (closed_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled', 'terminated'))),
            note TEXT,
            needs_retry INTEGER NOT NULL DEFAULT 0 CHECK (needs_retry = 0 OR state = 'parked'),
            expired_at INTEGER CHECK (expired_at IS NULL OR closed_at IS NOT NULL),
            last_seq INTEGER CHECK ((last_seq IS NOT NULL) = (expired_at IS NOT NULL)),
            last_hash BLOB CHECK ((last_hash IS NOT NULL) = (expired_at IS NOT NULL)),
            leftover INTEGER NOT NULL DEFAULT 0 CHECK (leftover = 0 OR expired_at IS NOT NULL),
            origin TEXT,
            origin_salt BLOB CHECK ((origin_salt IS NOT NULL) = (origin IS NOT NULL)),
            origin_digest TEXT CHECK ((origin_digest IS NOT NULL) = (origin IS NOT NULL)),
            successor TEXT CHECK (successor IS NULL OR (state IN ('completed', 'quarantined') AND key IS NULL)),
            queue INTEGER,
            is_admitted INTEGER NOT NULL DEFAULT 1 CHECK (is_admitted <> 0 OR queue IS NOT NULL),
            CHECK (state <> 'queued' OR is_admitted = 0)
        ) STRICT;
        INSERT INTO runs_with_queues (number, id, namespace, workflow, version, key, input_digest, salt, state, epoch, owner, wake_at,
            since, created_at, closed_at, note, needs_retry, expired_at, last_seq, last_hash, leftover, origin, origin_salt,
            origin_digest, successor)
        SELECT number, id, namespace, workflow, version, key, input_digest, salt, state, epoch, owner, wake_at,
            since, created_at, closed_at, note, needs_retry, expired_at, last_seq, last_hash, leftover, origin, origin_salt,
            origin_digest, successor FROM runs;
        DROP TABLE runs;
        ALTER TABLE runs_with_queues RENAME TO runs;
        CREATE UNIQUE INDEX runs_keys ON runs (namespace, workflow, key) WHERE key IS NOT NULL;
        CREATE UNIQUE INDEX runs_chains ON runs (origin) WHERE origin IS NOT NULL AND successor IS NULL;
        CREATE INDEX runs_states ON runs (state, namespace);
        CREATE INDEX runs_closed ON runs (closed_at) WHERE closed_at IS NOT NULL AND expired_at IS NULL;
        CREATE INDEX runs_expired ON runs (expired_at) WHERE expired_at IS NOT NULL;
        CREATE INDEX runs_leftover ON runs (number) WHERE leftover <> 0;
        CREATE INDEX runs_ready ON runs (workflow, version, since) WHERE state = 'ready';
        CREATE INDEX runs_blocked ON runs (workflow, version, since) WHERE state = 'blocked';
        CREATE INDEX runs_due ON runs (workflow, version, wake_at) WHERE wake_at IS NOT NULL;
        CREATE INDEX runs_owned ON runs (owner, workflow, version, since) WHERE owner IS NOT NULL;

        CREATE TABLE queues (
            number INTEGER PRIMARY KEY,
            namespace TEXT NOT NULL,
            name TEXT NOT NULL,
            concurrency INTEGER NOT NULL,
            per_key INTEGER,
            rate_count INTEGER,
            rate_period INTEGER CHECK ((rate_period IS NOT NULL) = (rate_count IS NOT NULL)),
            rate_burst INTEGER CHECK ((rate_burst IS NOT NULL) = (rate_count IS NOT NULL)),
            held INTEGER NOT NULL DEFAULT 0,
            turn INTEGER NOT NULL DEFAULT 0,
            next_slot INTEGER NOT NULL DEFAULT 0,
            due_at INTEGER,
            changed_by TEXT NOT NULL,
            changed_at INTEGER NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX queues_names ON queues (namespace, name);
        CREATE INDEX queues_due ON queues (due_at) WHERE due_at IS NOT NULL;

        CREATE TABLE places (
            run INTEGER PRIMARY KEY,
            queue INTEGER NOT NULL,
            key TEXT NOT NULL,
            priority INTEGER NOT NULL,
            deadline INTEGER,
            in_line INTEGER NOT NULL,
            is_admitted INTEGER NOT NULL CHECK (in_line = 0 OR is_admitted = 0)
        ) STRICT;
        CREATE INDEX places_line ON places (queue, key, priority DESC, run) WHERE in_line <> 0;
        CREATE INDEX places_held ON places (queue) WHERE is_admitted <> 0;

        CREATE TABLE queue_keys (
            queue INTEGER NOT NULL,
            key TEXT NOT NULL,
            waiting INTEGER NOT NULL,
            held INTEGER NOT NULL,
            turn INTEGER NOT NULL,
            is_full INTEGER NOT NULL,
            PRIMARY KEY (queue, key)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX queue_keys_turns ON queue_keys (queue, turn, key) WHERE waiting > 0 AND is_full = 0;
        """
}
