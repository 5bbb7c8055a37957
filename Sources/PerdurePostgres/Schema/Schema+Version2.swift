extension Schema {
    /// Schedules. What one says stands in its document; beside it is only what finds those that are due.
    static let version2 = """
        CREATE TABLE perdure.schedules (
            namespace text COLLATE "C" NOT NULL,
            id text COLLATE "C" NOT NULL,
            version bigint NOT NULL,
            due_at bigint,
            document text NOT NULL,
            CONSTRAINT schedules_names PRIMARY KEY (namespace, id)
        ) WITH (fillfactor = 50);
        CREATE INDEX schedules_due ON perdure.schedules (due_at, namespace, id) WHERE due_at IS NOT NULL;
        """
}
