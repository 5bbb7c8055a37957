public import Logging
public import PerdureStore

extension StoreConfiguration {
    /// Keeps histories in a PostgreSQL database (version 13 or later), in a schema named `perdure`, which the first engine makes. Any
    /// number of engines may use it at the same time, each with runs of its own.
    ///
    /// - Parameters:
    ///   - url: where the database is: `postgres://user@host:5432/database?sslmode=verify-full`, with several hosts if the server has
    ///     replicas: `postgres://a,b/database`. What it leaves out libpq takes from the environment (`PGPASSWORD`, a service or password
    ///     file). A pooler in front of the server has to give each connection a session of its own.
    ///   - logger: told when something should be looked at.
    public static func postgres(
        _ url: String, logger: Logger = Logger(label: "perdure.postgres")
    ) -> StoreConfiguration { postgres(url, options: PostgresOptions(logger: logger)) }

    package static func postgres(_ url: String, options: PostgresOptions) -> StoreConfiguration {
        StoreConfiguration { role in try await PostgresStore.open(url, role: role, options: options) }
    }
}
