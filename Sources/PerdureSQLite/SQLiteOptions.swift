internal import Foundation
package import Logging
package import PerdureHistory

/// What a test or an embedding layer may set about an SQLite store.
package struct SQLiteOptions: Sendable {
    /// Stamps events and deliveries.
    package var clock: @Sendable () -> Timestamp = { Timestamp(Date()) }
    /// How long a call waits for another process to give up the write lock.
    package var busyLimit: Duration = .seconds(5)
    /// How often the file is asked whether another process has written.
    package var bellInterval: Duration = .milliseconds(20)
    /// Size of the write-ahead log, in bytes, from which on a warning is given: somebody reads for too long.
    package var logWarningSize: Int64 = 256 << 20
    /// How many pages of 4 KiB the file may have; nil leaves it to the disk. What no longer fits is "unavailable", nothing is lost.
    package var pageLimit: Int64?
    /// How long the work of a step may take that is done in a transaction: it holds up every other write. Below `busyLimit`, or others give
    /// up waiting for it.
    package var transactionLimit: Duration = .seconds(2)
    /// Called with a sentence, on any thread, when something should be looked at.
    package var onWarning: @Sendable (String) -> Void
    package var faults: StoreFaults = .none

    /// - Parameter logger: gets the warnings.
    package init(logger: Logger = Logger(label: "perdure.sqlite")) {
        onWarning = { logger.warning("\($0)") }
    }
}
