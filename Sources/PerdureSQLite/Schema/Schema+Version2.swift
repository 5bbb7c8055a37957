extension Schema {
    /// Schedules. What one says stands in its document; beside it is only what finds those that are due.
    static let version2 = """
        CREATE TABLE schedules (
            number INTEGER PRIMARY KEY,
            namespace TEXT NOT NULL,
            id TEXT NOT NULL,
            version INTEGER NOT NULL,
            due_at INTEGER,
            document TEXT NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX schedules_names ON schedules (namespace, id);
        CREATE INDEX schedules_due ON schedules (due_at, namespace, id) WHERE due_at IS NOT NULL;
        """
}
