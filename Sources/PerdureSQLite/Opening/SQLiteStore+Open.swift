internal import Foundation
internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    /// Opens the file, or says in a sentence why it cannot be used.
    package static func open(
        _ path: String, role: StoreConfiguration.Role, options: SQLiteOptions
    ) async throws(StoreError) -> SQLiteStore {
        switch role {
        case .engine:
            for _ in 0..<2 {
                if let store = try await openLocked(try StoreFile(path), options: options) { return store }
            }
            throw .unusable(.storeMissing, "\(path) leads somewhere else each time it is opened. Name the file itself.")
        case .client:
            let file = try StoreFile(path)
            guard file.exists else {
                throw .unusable(.storeMissing, "There is no store at \(path). Start an engine with it first.")
            }
            let writer = try await connect(file, options) { session in
                guard try Opening.check(session, path: file.path) else {
                    throw StoreError.unusable(.storeMissing, "\(file.path) holds no store yet. Start an engine with it first.")
                }
                try Opening.checkIsCurrent(session, path: file.path)
                try Opening.setUp(session, options)
                // A living engine has done it, and may have written much since.
                if !EngineLock.isHeld(beside: file.path) { try session.rewriteLog() }
            }
            return try await assemble(file, writer: writer, lock: nil, options: options)
        }
    }

    /// - Returns: `nil` if the lock that was taken turns out to belong to another path than that of the file.
    private static func openLocked(_ file: StoreFile, options: SQLiteOptions) async throws(StoreError) -> SQLiteStore? {
        try file.checkWritable()
        let lock = try EngineLock(beside: file.path)
        do {
            let store = try await openLocked(file, lock: lock, options: options)
            if file.isStill { return store }
            await store.close()
            return nil
        } catch {
            lock.release()
            throw error
        }
    }

    private static func openLocked(
        _ file: StoreFile, lock: EngineLock, options: SQLiteOptions
    ) async throws(StoreError) -> SQLiteStore {
        let identity = UUID().uuidString.lowercased()
        let writer = try await connect(file, options) { session in
            _ = try Opening.check(session, path: file.path)
            try Opening.setUp(session, options)
            try session.rewriteLog()
            try Opening.migrate(session, path: file.path, identity: identity)
        }
        return try await assemble(file, writer: writer, lock: lock, options: options)
    }

    /// A connection that can write, once `prepare` has found it to be ours.
    private static func connect(
        _ file: StoreFile, _ options: SQLiteOptions, _ prepare: @escaping @Sendable (Session) throws -> Void
    ) async throws(StoreError) -> Connection {
        let writer = try openConnection(file, readOnly: false, options)
        do {
            try await writer.perform(prepare)
            return writer
        } catch {
            await writer.close()
            throw error
        }
    }

    private static func assemble(
        _ file: StoreFile, writer: Connection, lock: EngineLock?, options: SQLiteOptions
    ) async throws(StoreError) -> SQLiteStore {
        do {
            let identity = try await writer.perform { try Opening.identity($0, path: file.path) }
            return SQLiteStore(
                path: file.path, identity: identity, options: options, lock: lock, writer: writer,
                reader: try openConnection(file, readOnly: true, options),
                browser: try openConnection(file, readOnly: true, options))
        } catch {
            await writer.close()
            throw error
        }
    }

    private static func openConnection(_ file: StoreFile, readOnly: Bool, _ options: SQLiteOptions) throws(StoreError)
        -> Connection
    {
        do {
            return try Connection(path: file.path, readOnly: readOnly, busyLimit: options.busyLimit)
        } catch {
            throw StoreError(error)
        }
    }
}
