import UnixSignals

/// Does the work unless the program is asked to end, by Ctrl-C or by SIGTERM: then the work is cancelled and waited for, so that it can
/// take away what it has made.
///
/// - Returns: Nil if somebody has ended it.
func unlessInterrupted<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws -> Result? {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await work() }
        group.addTask {
            for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { break }
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
}
