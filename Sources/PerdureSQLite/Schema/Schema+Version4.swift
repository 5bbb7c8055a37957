extension Schema {
    /// What is set for namespaces, and what is noted of archived histories: up to which event, and the digest of the file.
    ///
    /// The triggers hold for code that knows nothing of this table as well: it may go on beside it, or open the file again, and has only
    /// the times of its own configuration. What it then fails to remove stays. A tombstone of a namespace for which something is set is
    /// removed by whoever has given it leftovers before, which only code does that knows.
    static let version4 = """
        CREATE TABLE namespaces (
            name TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            closed_after INTEGER CHECK (closed_after IS NULL OR closed_after >= 0),
            removed_after INTEGER CHECK (removed_after IS NULL OR removed_after >= 0),
            archive INTEGER NOT NULL CHECK (archive IN (0, 1)),
            changed_by TEXT NOT NULL,
            changed_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        ALTER TABLE runs ADD COLUMN archived_at INTEGER;
        ALTER TABLE runs ADD COLUMN archived_hash BLOB;
        ALTER TABLE runs ADD COLUMN archive_digest BLOB;
        CREATE INDEX runs_closings ON runs (namespace, closed_at, number) WHERE closed_at IS NOT NULL AND expired_at IS NULL;
        CREATE INDEX runs_burials ON runs (namespace, expired_at, number) WHERE expired_at IS NOT NULL;

        CREATE TRIGGER runs_kept BEFORE UPDATE OF expired_at ON runs
        WHEN OLD.expired_at IS NULL AND NEW.expired_at IS NOT NULL AND EXISTS (
            SELECT 1 FROM namespaces WHERE name = NEW.namespace AND (
                closed_after IS NULL OR NEW.closed_at >= NEW.expired_at - closed_after
                OR archive <> 0 AND (NEW.archived_at IS NULL OR NEW.archived_hash IS NOT NEW.last_hash)))
        BEGIN
            SELECT RAISE(ABORT, 'a run of a namespace whose settings keep it must not expire');
        END;
        CREATE TRIGGER runs_remembered BEFORE DELETE ON runs
        WHEN OLD.leftover = 0 AND EXISTS (SELECT 1 FROM namespaces WHERE name = OLD.namespace)
        BEGIN
            SELECT RAISE(ABORT, 'a tombstone of a namespace with settings is not removed by what does not know them');
        END;
        """
}
