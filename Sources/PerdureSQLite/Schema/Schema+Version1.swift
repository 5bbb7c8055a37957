extension Schema {
    /// The first schema.
    ///
    /// Events are appended in the order in which they come; a table clustered by run would dirty a page of its own for every run in
    /// every commit. A run's row changes only with its state. Times are microseconds since 1970. The partial indexes answer "what
    /// is there to do" without looking at what is at rest. `wakes` says the same of unread messages: it has a row for each run that may
    /// be claimed because of one, with the times of the oldest for its hosts and for anyone. Messages that wake nobody are not in it.
    /// Its numbers are never used again, since owners remember up to which one they have read. An expired run keeps its row, with the
    /// place and hash of its last event, and `leftover` while some of its history is still to be removed.
    /// A run that is continued gives its key to its `successor`; `origin` is the first run of such a chain, whose salt and digest tell
    /// whether a start is the same start. `heartbeats` has the latest sign of life of steps that are not settled.
    /// `blobs` has the values above 64 KiB, whose events hold their SHA-256 and size: pages of events stay small.
    static let version1 = """
        CREATE TABLE meta (
            name TEXT PRIMARY KEY,
            value TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE nodes (
            id TEXT PRIMARY KEY,
            build TEXT NOT NULL,
            host TEXT NOT NULL,
            process_id INTEGER NOT NULL,
            hosted TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            ended_at INTEGER
        ) STRICT;

        CREATE TABLE runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            namespace TEXT NOT NULL,
            workflow TEXT NOT NULL,
            version TEXT NOT NULL,
            key TEXT,
            input_digest TEXT NOT NULL,
            salt BLOB NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('ready', 'running', 'waiting', 'blocked', 'parked', 'paused', 'quarantined',
                'completed', 'failed', 'cancelled', 'terminated')),
            epoch INTEGER NOT NULL,
            owner TEXT CHECK (state = 'terminated' OR (owner IS NOT NULL) = (state = 'running')),
            wake_at INTEGER CHECK (wake_at IS NULL OR state IN ('waiting', 'parked')),
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
            successor TEXT CHECK (successor IS NULL OR (state IN ('completed', 'quarantined') AND key IS NULL))
        ) STRICT;
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

        CREATE TABLE events (
            position INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            attributes TEXT NOT NULL,
            input ANY,
            input_size INTEGER,
            output ANY,
            output_size INTEGER,
            codec INTEGER NOT NULL,
            key_id TEXT,
            hash BLOB NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX events_places ON events (run, seq);
        CREATE INDEX events_openings ON events (run) WHERE kind IN ('step.in_doubt', 'undo.in_doubt', 'child.started');

        CREATE TABLE blobs (
            number INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            digest BLOB NOT NULL CHECK (length(digest) = 32),
            content ANY NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX blobs_places ON blobs (run, digest);

        CREATE TABLE open_requests (
            position INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            subject TEXT NOT NULL,
            kind TEXT NOT NULL
        ) STRICT;
        CREATE INDEX open_requests_subjects ON open_requests (run, subject);

        CREATE TABLE marks (
            run INTEGER NOT NULL,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            position INTEGER NOT NULL,
            PRIMARY KEY (run, kind, subject)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE labels (
            run INTEGER NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (run, name)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX labels_values ON labels (name, value, run);

        CREATE TABLE inbox (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            run INTEGER NOT NULL,
            delivery_id TEXT NOT NULL,
            at INTEGER NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            payload ANY,
            sender TEXT NOT NULL,
            consumed INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE UNIQUE INDEX inbox_deliveries ON inbox (run, delivery_id);
        CREATE INDEX inbox_unread ON inbox (run) WHERE consumed = 0;
        CREATE INDEX inbox_arrivals ON inbox (number) WHERE consumed = 0;

        CREATE TABLE heartbeats (
            number INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            subject TEXT NOT NULL,
            is_undo INTEGER NOT NULL,
            at INTEGER NOT NULL,
            details ANY
        ) STRICT;
        CREATE UNIQUE INDEX heartbeats_steps ON heartbeats (run, subject, is_undo);

        CREATE TABLE wakes (
            run INTEGER PRIMARY KEY,
            workflow TEXT NOT NULL,
            version TEXT NOT NULL,
            host_at INTEGER,
            anyone_at INTEGER
        ) STRICT;
        CREATE INDEX wakes_host ON wakes (workflow, version, host_at) WHERE host_at IS NOT NULL;
        CREATE INDEX wakes_anyone ON wakes (anyone_at) WHERE anyone_at IS NOT NULL;

        CREATE TABLE blocked_builds (
            run INTEGER NOT NULL,
            build TEXT NOT NULL,
            PRIMARY KEY (run, build)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE business_keys (
            number INTEGER PRIMARY KEY,
            namespace TEXT NOT NULL,
            step TEXT NOT NULL,
            key TEXT NOT NULL,
            generation INTEGER NOT NULL,
            holder TEXT NOT NULL,
            subject TEXT NOT NULL,
            input_digest TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'happened', 'free')),
            output ANY CHECK ((output IS NOT NULL) = (state = 'happened'))
        ) STRICT;
        CREATE UNIQUE INDEX business_keys_names ON business_keys (namespace, step, key);

        CREATE TABLE business_key_waiters (
            key INTEGER NOT NULL,
            run INTEGER NOT NULL,
            subject TEXT NOT NULL,
            PRIMARY KEY (key, run, subject)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX business_key_waiters_runs ON business_key_waiters (run);
        """
}
