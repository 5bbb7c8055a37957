internal import Foundation
internal import Perdure
internal import PerdureStore

/// Whether each of our connections has a session of the server to itself, as with no pooler or with one in session mode.
///
/// Elsewhere settings would go to whichever session comes next, among them the one by which what is said to be durable is, and
/// notifications would reach nobody.
enum PoolerCheck {
    private static let backend = SQL("SELECT pg_backend_pid()::int8")
    private static let mark = SQL("SELECT set_config('perdure.session', $1, false)")
    private static let marked = SQL("SELECT coalesce(current_setting('perdure.session', true) = $1, false)")

    /// - Throws: `StoreError.unusable` if two connections were seen to share sessions.
    static func demandOwnSessions(_ first: Connection, _ second: Connection) async throws(StoreError) {
        let isPooled = try await first.perform { session in
            try session.first(backend) { try $0.integer(0) } != Int64(session.link.backend)
        }
        guard isPooled else { return }
        // Other clients of the pooler may have the sessions in between: one look alone may see nothing.
        for _ in 0..<5 {
            let text = UUID().uuidString
            try await first.perform { _ = try $0.exists(mark, text) }
            let isShared = try await second.perform { session in
                // In a transaction the session stays ours, and the other connection has to take another one.
                try session.transaction { try session.first(marked, text) { try $0.bool(0) } ?? true }
            }
            let isKept = try await first.perform { try $0.first(marked, text) { try $0.bool(0) } ?? false }
            if isShared || !isKept { throw shared }
        }
    }

    /// What poolers are asked for.
    static let remedy = "Set it to session mode (pool_mode = session in PgBouncer), or give the server's own address."

    private static let shared = StoreError.unusable(
        .usage, "A pooler in front of the server gives a connection to several clients in turn. \(remedy)")
}
