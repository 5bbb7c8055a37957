extension Schema {
    /// That history went back, as often as somebody said so; at most one stands.
    static let version6 = """
        CREATE TABLE restorations (
            number INTEGER PRIMARY KEY,
            noticed_at INTEGER NOT NULL,
            noticed_by TEXT NOT NULL,
            reason TEXT NOT NULL,
            marked_up_to INTEGER NOT NULL DEFAULT 0,
            marked INTEGER NOT NULL DEFAULT 0,
            lifted_at INTEGER,
            lifted_by TEXT CHECK ((lifted_by IS NOT NULL) = (lifted_at IS NOT NULL))
        ) STRICT;
        CREATE UNIQUE INDEX restorations_standing ON restorations (lifted_at IS NULL) WHERE lifted_at IS NULL;
        """
}
