internal import Foundation
public import Logging
package import PerdureHistory
public import PerdureStore

extension StoreConfiguration {
    /// Keeps histories in one SQLite file, which is made if it does not exist.
    ///
    /// One engine process at a time can use the file; it holds a lock on `<path>.lock` beside it. Other processes may read, start
    /// runs and deliver. The file must lie on a local disk.
    /// - Parameters:
    ///   - path: the file; a relative path counts from the current folder.
    ///   - logger: told when something should be looked at, such as a log that grows because somebody reads for too long.
    public static func sqlite(_ path: String, logger: Logger = Logger(label: "perdure.sqlite")) -> StoreConfiguration {
        sqlite(path, options: SQLiteOptions(logger: logger))
    }

    /// The same with a clock of one's own.
    package static func sqlite(_ path: String, clock: @escaping @Sendable () -> Timestamp) -> StoreConfiguration {
        var options = SQLiteOptions()
        options.clock = clock
        return sqlite(path, options: options)
    }

    package static func sqlite(_ path: String, options: SQLiteOptions) -> StoreConfiguration {
        StoreConfiguration { role in try await SQLiteStore.open(path, role: role, options: options) }
    }
}
