extension Schema {
    /// That history went back, as often as it was noticed; at most one stands. And of each node the start of the server that it has found
    /// all of its own commits on, in microseconds since 1970: until every living node has, nobody goes on; and what it verifies beside
    /// others.
    ///
    /// Nodes of the release before name no server, and nobody waits for them. They know nothing of what stands here, so that none of them
    /// is let in while something does.
    static let version7 = """
        CREATE TABLE perdure.restorations (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            noticed_at bigint NOT NULL,
            noticed_by text NOT NULL,
            reason text NOT NULL,
            marked_up_to bigint NOT NULL DEFAULT 0,
            marked bigint NOT NULL DEFAULT 0,
            lifted_at bigint,
            lifted_by text CHECK ((lifted_by IS NOT NULL) = (lifted_at IS NOT NULL))
        );
        CREATE UNIQUE INDEX restorations_standing ON perdure.restorations ((lifted_at IS NULL)) WHERE lifted_at IS NULL;

        ALTER TABLE perdure.nodes ADD COLUMN server bigint, ADD COLUMN verifies text;
        CREATE INDEX nodes_servers ON perdure.nodes (server) WHERE ended_at IS NULL;

        CREATE FUNCTION perdure.refuse_node() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            IF EXISTS (SELECT 1 FROM perdure.restorations WHERE lifted_at IS NULL) THEN
                RAISE EXCEPTION 'history went back: run perdure recover --restored before nodes of this release start';
            END IF;
            RETURN NEW;
        END $body$;
        CREATE TRIGGER nodes_restored BEFORE INSERT ON perdure.nodes FOR EACH ROW
            WHEN (NEW.server IS NULL AND NEW.ended_at IS NULL) EXECUTE FUNCTION perdure.refuse_node();
        """
}
