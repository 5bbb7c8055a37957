import Dispatch
import PerdureStore

@testable import PerdurePostgres

/// Somebody else's transaction that has done something and is not over, on a connection of its own.
final class HeldTransaction: Sendable {
    private let connection: Connection
    private let gate = DispatchSemaphore(value: 0)
    private let transaction: Task<Void, any Error>

    /// Returns once everything in the script is done.
    fileprivate init(_ connection: Connection, _ script: String) async throws {
        self.connection = connection
        let begun = AsyncStream.makeStream(of: Void.self)
        transaction = Task { [gate] in
            defer { begun.continuation.finish() }
            try await connection.perform { session in
                try session.transaction {
                    try session.run(script)
                    begun.continuation.yield()
                    gate.wait()
                }
            }
        }
        for await _ in begun.stream { return }
        // Without a word it has ended already.
        try await transaction.value
    }

    /// A test that fails in between must not hang.
    deinit { gate.signal() }

    func commit() async throws {
        gate.signal()
        try await transaction.value
        await connection.close()
    }
}

extension TestDatabase {
    func hold(_ script: String) async throws -> HeldTransaction { try await HeldTransaction(try connect(), script) }
}

extension PostgresHarness {
    /// The first column of what a question gives.
    func ask(_ sql: String) async throws -> [String] {
        try await database.connect().perform { session in
            try session.all(SQL("SELECT found::text FROM (\(sql)) AS answer (found)")) { try $0.text(0) }
        }
    }
}
