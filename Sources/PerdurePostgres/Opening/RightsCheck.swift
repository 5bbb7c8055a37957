internal import Perdure
internal import PerdureStore

/// Whether the user may do what an engine does. It is asked at the start, so that no run stops in its middle for want of a right.
enum RightsCheck {
    private static let lacking = SQL(
        """
        SELECT tablename::text || ' (' || needed || ')' FROM pg_catalog.pg_tables
        CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed
        WHERE schemaname = '\(Schema.name)' AND NOT has_table_privilege(format('\(Schema.name).%I', tablename), needed)
        UNION ALL
        SELECT sequencename::text || ' (USAGE)' FROM pg_catalog.pg_sequences
        WHERE schemaname = '\(Schema.name)' AND NOT has_sequence_privilege(format('\(Schema.name).%I', sequencename), 'USAGE')
        ORDER BY 1 LIMIT 4
        """)

    static func demandAll(_ session: Session, _ address: ServerAddress) throws {
        let lacking = try session.all(lacking) { try $0.text(0) }
        guard lacking.isEmpty else {
            throw StoreError.unusable(
                .storeRefused,
                "The user of \(address) lacks rights in the schema '\(Schema.name)': \(lacking.joined(separator: ", ")). An engine needs to select, insert, update and delete in all tables and to use all sequences; docs/errors/store_refused.md has the statements."
            )
        }
    }
}
