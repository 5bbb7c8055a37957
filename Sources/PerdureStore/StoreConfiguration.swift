import Perdure

/// Where histories are kept. A store's module adds the function that makes one, such as `.sqlite("perdure.db")`.
public struct StoreConfiguration: Sendable {
    /// What the process wants to do with the store.
    package enum Role: Sendable {
        /// Host runs. On an embedded store only one process can.
        case engine
        /// Read, and deliver to inboxes, beside the engine of another process.
        case client
    }

    package let open: @Sendable (Role) async throws -> any Store

    package init(open: @escaping @Sendable (Role) async throws -> any Store) { self.open = open }
}
