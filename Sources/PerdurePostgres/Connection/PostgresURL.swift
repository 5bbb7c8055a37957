internal import PerdureStore

/// What may be said of the address of a server by those who only pass it on.
package enum PostgresURL {
    /// The address without its password, and without what cannot be understood: that may hold it.
    package static func legible(_ url: String) -> String {
        do throws(StoreError) {
            return try ServerAddress(url).description
        } catch {
            return "postgres://…"
        }
    }
}
