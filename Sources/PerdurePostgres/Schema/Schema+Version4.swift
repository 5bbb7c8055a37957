extension Schema {
    /// What is set for namespaces, and what is noted of archived histories: up to which event, and the digest of the file.
    ///
    /// The triggers hold for nodes of the release before as well, which know nothing of this table and have only the times of their own
    /// configuration. What such a node then fails to remove stays. A tombstone of a namespace for which something is set is removed by
    /// whoever has given it leftovers before, which only code does that knows. Both wait for who changes a setting, as rounds do. No
    /// statement but those that expire and remove runs meets a trigger. The indexes that it takes are `RetentionIndexes`.
    static let version4 = """
        CREATE TABLE perdure.namespaces (
            name text COLLATE "C" PRIMARY KEY,
            version bigint NOT NULL,
            closed_after bigint CHECK (closed_after >= 0),
            removed_after bigint CHECK (removed_after >= 0),
            archive boolean NOT NULL,
            changed_by text NOT NULL,
            changed_at bigint NOT NULL
        ) WITH (fillfactor = 50);

        ALTER TABLE perdure.runs ADD COLUMN archived_at bigint, ADD COLUMN archived_hash bytea, ADD COLUMN archive_digest bytea;

        CREATE FUNCTION perdure.keep_run() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            LOCK TABLE perdure.namespaces IN SHARE MODE;
            IF EXISTS (
                SELECT 1 FROM perdure.namespaces AS kept WHERE kept.name = NEW.namespace AND (
                    kept.closed_after IS NULL OR NEW.closed_at >= NEW.expired_at - kept.closed_after
                    OR kept.archive AND (NEW.archived_at IS NULL OR NEW.archived_hash IS DISTINCT FROM NEW.last_hash)))
            THEN
                RAISE EXCEPTION 'a run of a namespace whose settings keep it must not expire';
            END IF;
            RETURN NEW;
        END $body$;
        CREATE TRIGGER runs_kept BEFORE UPDATE OF expired_at ON perdure.runs FOR EACH ROW
            WHEN (OLD.expired_at IS NULL AND NEW.expired_at IS NOT NULL) EXECUTE FUNCTION perdure.keep_run();

        CREATE FUNCTION perdure.keep_tombstone() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            LOCK TABLE perdure.namespaces IN SHARE MODE;
            IF EXISTS (SELECT 1 FROM perdure.namespaces AS kept WHERE kept.name = OLD.namespace) THEN
                RAISE EXCEPTION 'a tombstone of a namespace with settings is not removed by what does not know them';
            END IF;
            RETURN OLD;
        END $body$;
        CREATE TRIGGER runs_remembered BEFORE DELETE ON perdure.runs FOR EACH ROW
            WHEN (NOT OLD.leftover) EXECUTE FUNCTION perdure.keep_tombstone();
        """
}
