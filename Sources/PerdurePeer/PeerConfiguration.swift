import Foundation
package import Logging

/// Where a peer keeps its ledger, where it listens, and what it takes for time.
package struct PeerConfiguration: Sendable {
    /// The ledger's file.
    package var databasePath: String
    /// `127.0.0.1` (the default), `::1` or `localhost`.
    package var host: String
    /// The port, or 0 (the default) for any free one.
    package var port: Int
    /// The log; by default one labelled `perdure.peer` that tells warnings only.
    package var logger: Logger
    /// Microseconds since 1970, for the ledger's `at`.
    package var now: @Sendable () -> Int64
    /// Waits for a delay. Throws when the waiting task is cancelled.
    package var pause: @Sendable (Duration) async throws -> Void

    /// A peer on this file; everything else has its default.
    package init(databasePath: String, host: String = "127.0.0.1", port: Int = 0) {
        self.databasePath = databasePath
        self.host = host
        self.port = port
        logger = Logger(label: "perdure.peer")
        logger.logLevel = .warning
        now = Self.systemMicroseconds
        pause = { try await Task.sleep(for: $0) }
    }

    /// The system's wall clock.
    @Sendable package static func systemMicroseconds() -> Int64 {
        Int64(Date().timeIntervalSince1970 * 1_000_000)
    }
}
