extension Schema {
    /// The circuits that are open, which all nodes of a namespace share. The release before knows nothing of them and keeps its circuits to
    /// itself.
    static let version5 = """
        CREATE TABLE perdure.circuits (
            namespace text COLLATE "C" NOT NULL,
            resource text COLLATE "C" NOT NULL,
            stamp bigint NOT NULL,
            until bigint NOT NULL,
            pause bigint NOT NULL CHECK (pause > 0),
            prober text COLLATE "C",
            changed_at bigint NOT NULL,
            PRIMARY KEY (namespace, resource)
        ) WITH (fillfactor = 50);
        """
}
