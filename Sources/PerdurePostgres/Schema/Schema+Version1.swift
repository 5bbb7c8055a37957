extension Schema {
    /// The first schema.
    ///
    /// Events are appended to the heap, with one narrow unique index, in which a second owner of a run would collide with the first. A
    /// run's row changes only with its state, never with a step. Times are microseconds since 1970. Names compare by their bytes. The
    /// partial indexes answer "what is there to do" without looking at what is at rest.
    ///
    /// `wakes` says the same of unread messages: it has a row for each run that may be claimed because of one, with the times of the oldest
    /// for its hosts and for anyone. `marks` and `open_requests` are views of histories that would be slow to ask. An expired run keeps
    /// its row, with the place and hash of its last event, and `leftover` while some of its history is still to be removed. A run that is
    /// continued gives its key to its `successor`; `origin` is the first run of such a chain. `blobs` has the values above 64 KiB, whose
    /// events hold their SHA-256 and size. A node's `renewals` tells whoever looks twice that it has renewed its lease in between.
    ///
    /// Numbers of runs and of messages come from sequences that the store asks itself: messages of one run are numbered while its row is
    /// locked, so that they become visible in their order.
    static let version1 = """
        CREATE TABLE perdure.nodes (
            id text COLLATE "C" PRIMARY KEY,
            build text NOT NULL,
            host text NOT NULL,
            process_id bigint NOT NULL,
            hosted text NOT NULL,
            started_at bigint NOT NULL,
            ended_at bigint,
            lease_until bigint NOT NULL,
            renewals bigint NOT NULL DEFAULT 0
        ) WITH (fillfactor = 50);

        CREATE SEQUENCE perdure.run_numbers;
        CREATE TABLE perdure.runs (
            number bigint NOT NULL,
            id uuid NOT NULL,
            namespace text COLLATE "C" NOT NULL,
            workflow text COLLATE "C" NOT NULL,
            version text COLLATE "C" NOT NULL,
            key text COLLATE "C",
            input_digest text NOT NULL,
            salt bytea NOT NULL,
            state text COLLATE "C" NOT NULL CHECK (state IN ('ready', 'running', 'waiting', 'blocked', 'parked', 'paused', 'quarantined',
                'completed', 'failed', 'cancelled', 'terminated')),
            epoch bigint NOT NULL,
            owner text COLLATE "C" CHECK (state = 'terminated' OR (owner IS NOT NULL) = (state = 'running')),
            wake_at bigint CHECK (wake_at IS NULL OR state IN ('waiting', 'parked')),
            since bigint NOT NULL,
            created_at bigint NOT NULL,
            closed_at bigint CHECK (state = 'quarantined'
                OR (closed_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled', 'terminated'))),
            note text,
            needs_retry boolean NOT NULL DEFAULT false CHECK (NOT needs_retry OR state = 'parked'),
            expired_at bigint CHECK (expired_at IS NULL OR closed_at IS NOT NULL),
            last_seq bigint CHECK ((last_seq IS NOT NULL) = (expired_at IS NOT NULL)),
            last_hash bytea CHECK ((last_hash IS NOT NULL) = (expired_at IS NOT NULL)),
            leftover boolean NOT NULL DEFAULT false CHECK (NOT leftover OR expired_at IS NOT NULL),
            origin uuid,
            origin_salt bytea CHECK ((origin_salt IS NOT NULL) = (origin IS NOT NULL)),
            origin_digest text CHECK ((origin_digest IS NOT NULL) = (origin IS NOT NULL)),
            successor uuid CHECK (successor IS NULL OR (state IN ('completed', 'quarantined') AND key IS NULL)),
            CONSTRAINT runs_numbers PRIMARY KEY (number),
            CONSTRAINT runs_ids UNIQUE (id)
        ) WITH (fillfactor = 80);
        CREATE UNIQUE INDEX runs_keys ON perdure.runs (namespace, workflow, key) WHERE key IS NOT NULL;
        CREATE UNIQUE INDEX runs_chains ON perdure.runs (origin) WHERE origin IS NOT NULL AND successor IS NULL;
        CREATE INDEX runs_states ON perdure.runs (state, namespace, number);
        CREATE INDEX runs_closed ON perdure.runs (closed_at, number) WHERE closed_at IS NOT NULL AND expired_at IS NULL;
        CREATE INDEX runs_expired ON perdure.runs (expired_at) WHERE expired_at IS NOT NULL;
        CREATE INDEX runs_leftover ON perdure.runs (number) WHERE leftover;
        CREATE INDEX runs_ready ON perdure.runs (workflow, version, since) WHERE state = 'ready';
        CREATE INDEX runs_blocked ON perdure.runs (workflow, version, since) WHERE state = 'blocked';
        CREATE INDEX runs_due ON perdure.runs (workflow, version, wake_at) WHERE wake_at IS NOT NULL;
        CREATE INDEX runs_owned ON perdure.runs (owner, workflow, version, since) WHERE owner IS NOT NULL;

        CREATE TABLE perdure.events (
            run bigint NOT NULL,
            seq bigint NOT NULL,
            at bigint NOT NULL,
            kind text COLLATE "C" NOT NULL,
            subject text COLLATE "C" NOT NULL,
            attributes text NOT NULL,
            input bytea,
            input_size bigint,
            output bytea,
            output_size bigint,
            codec bigint NOT NULL,
            key_id text,
            hash bytea NOT NULL,
            CONSTRAINT events_places PRIMARY KEY (run, seq)
        );
        CREATE INDEX events_openings ON perdure.events (run, seq) WHERE kind IN ('step.in_doubt', 'undo.in_doubt', 'child.started');

        CREATE TABLE perdure.blobs (
            run bigint NOT NULL,
            digest bytea NOT NULL CHECK (length(digest) = 32),
            content bytea NOT NULL,
            CONSTRAINT blobs_places PRIMARY KEY (run, digest)
        );

        CREATE TABLE perdure.open_requests (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            run bigint NOT NULL,
            seq bigint NOT NULL,
            subject text COLLATE "C" NOT NULL,
            kind text COLLATE "C" NOT NULL
        );
        CREATE INDEX open_requests_subjects ON perdure.open_requests (run, subject);

        CREATE TABLE perdure.marks (
            run bigint NOT NULL,
            kind text COLLATE "C" NOT NULL,
            subject text COLLATE "C" NOT NULL,
            seq bigint NOT NULL,
            PRIMARY KEY (run, kind, subject)
        );

        CREATE TABLE perdure.labels (
            run bigint NOT NULL,
            name text COLLATE "C" NOT NULL,
            value text COLLATE "C" NOT NULL,
            PRIMARY KEY (run, name)
        );
        CREATE INDEX labels_values ON perdure.labels (name, value, run);

        CREATE SEQUENCE perdure.inbox_numbers;
        CREATE TABLE perdure.inbox (
            number bigint PRIMARY KEY DEFAULT nextval('perdure.inbox_numbers'),
            run bigint NOT NULL,
            delivery_id text COLLATE "C" NOT NULL,
            at bigint NOT NULL,
            kind text COLLATE "C" NOT NULL,
            name text COLLATE "C" NOT NULL,
            payload bytea,
            sender text NOT NULL,
            consumed boolean NOT NULL DEFAULT false
        );
        CREATE UNIQUE INDEX inbox_deliveries ON perdure.inbox (run, delivery_id);
        CREATE INDEX inbox_unread ON perdure.inbox (run, number) WHERE NOT consumed;
        CREATE INDEX inbox_arrivals ON perdure.inbox (number) WHERE NOT consumed;

        CREATE TABLE perdure.heartbeats (
            run bigint NOT NULL,
            subject text COLLATE "C" NOT NULL,
            is_undo boolean NOT NULL,
            at bigint NOT NULL,
            details bytea,
            CONSTRAINT heartbeats_steps PRIMARY KEY (run, subject, is_undo)
        ) WITH (fillfactor = 50);

        CREATE TABLE perdure.wakes (
            run bigint PRIMARY KEY,
            workflow text COLLATE "C" NOT NULL,
            version text COLLATE "C" NOT NULL,
            host_at bigint,
            anyone_at bigint
        );
        CREATE INDEX wakes_host ON perdure.wakes (workflow, version, host_at) WHERE host_at IS NOT NULL;
        CREATE INDEX wakes_anyone ON perdure.wakes (anyone_at) WHERE anyone_at IS NOT NULL;

        CREATE TABLE perdure.blocked_builds (
            run bigint NOT NULL,
            build text COLLATE "C" NOT NULL,
            PRIMARY KEY (run, build)
        );

        CREATE TABLE perdure.business_keys (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            namespace text COLLATE "C" NOT NULL,
            step text COLLATE "C" NOT NULL,
            key text COLLATE "C" NOT NULL,
            generation bigint NOT NULL,
            holder uuid NOT NULL,
            subject text NOT NULL,
            input_digest text NOT NULL,
            state text NOT NULL CHECK (state IN ('open', 'happened', 'free')),
            output bytea CHECK ((output IS NOT NULL) = (state = 'happened')),
            CONSTRAINT business_keys_names UNIQUE (namespace, step, key)
        );

        CREATE TABLE perdure.business_key_waiters (
            key bigint NOT NULL,
            run bigint NOT NULL,
            subject text COLLATE "C" NOT NULL,
            PRIMARY KEY (key, run, subject)
        );
        CREATE INDEX business_key_waiters_runs ON perdure.business_key_waiters (run);
        """
}
