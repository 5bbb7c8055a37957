extension Schema {
    /// What control keeps beside runs. Releases before know nothing of it, and need not. Keys compare as bytes, as they do everywhere.
    static let version8 = """
        CREATE TABLE perdure.control (
            kind text COLLATE "C" NOT NULL,
            key text COLLATE "C" NOT NULL,
            revision bigint NOT NULL CHECK (revision > 0),
            value bytea NOT NULL,
            due bigint,
            PRIMARY KEY (kind, key)
        );
        CREATE INDEX control_due ON perdure.control (kind, due, key) WHERE due IS NOT NULL;
        """
}
