internal import Foundation
internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    /// Opens the file, or says in a sentence why it cannot be used.
    package static func open(
        _ path: String, role: StoreConfiguration.Role, options: SQLiteOptions
    ) async throws(StoreError) -> SQLiteStore {
        let file = try StoreFile(path)
        switch role {
        case .engine:
            try file.checkWritable()
            let lock = try EngineLock(beside: file.path)
            do {
                return try await openLocked(file, lock: lock, options: options)
            } catch {
                lock.release()
                throw error
            }
        case .client:
            guard file.exists else {
                throw .unusable(.storeMissing, "There is no store at \(path). Start an engine with it first.")
            }
            let writer = try await connect(file, options) { session in
                guard try Opening.check(session, path: file.path) else {
                    throw StoreError.unusable(.storeMissing, "\(file.path) holds no store yet. Start an engine with it first.")
                }
                try Opening.checkIsCurrent(session, path: file.path)
                try Opening.setUp(session, options)
            }
            return try await assemble(file, writer: writer, lock: nil, options: options)
        }
    }

    private static func openLocked(
        _ file: StoreFile, lock: EngineLock, options: SQLiteOptions
    ) async throws(StoreError) -> SQLiteStore {
        let identity = UUID().uuidString.lowercased()
        let writer = try await connect(file, options) { session in
            _ = try Opening.check(session, path: file.path)
            try Opening.setUp(session, options)
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
