extension Schema {
    /// What control keeps beside runs. Releases before know nothing of it, and need not.
    static let version7 = """
        CREATE TABLE control (
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            revision INTEGER NOT NULL CHECK (revision > 0),
            value BLOB NOT NULL,
            due INTEGER,
            PRIMARY KEY (kind, key)
        ) STRICT;
        CREATE INDEX control_due ON control (kind, due, key) WHERE due IS NOT NULL;
        """
}
