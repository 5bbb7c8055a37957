internal import Foundation
internal import Perdure
internal import PerdureStore

/// What can be said of a database file before SQLite opens it, so that a wrong path leaves no trace.
struct StoreFile {
    /// Absolute and without symbolic links: two names of one file must share one lock.
    let path: String
    let exists: Bool

    init(_ given: String) throws(StoreError) {
        guard !given.isEmpty, !given.utf8.contains(0) else { throw .unusable(.usage, "The store needs the path of a file.") }
        let absolute = given.hasPrefix("/") ? given : FileManager.default.currentDirectoryPath + "/" + given
        if let real = Self.realPath(absolute) {
            path = real
            exists = true
        } else {
            let url = URL(fileURLWithPath: absolute)
            guard let folder = Self.realPath(url.deletingLastPathComponent().path) else {
                throw .unusable(.storeMissing, "The folder of \(given) does not exist. Make it first.")
            }
            path = folder + "/" + url.lastPathComponent
            exists = false
        }
        guard exists else { return }
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            throw .unusable(.storeNotOurs, "\(given) is a folder. Name a file.")
        }
        try checkHeader()
    }

    /// Refuses what is certainly not a database of SQLite.
    private func checkHeader() throws(StoreError) {
        let magic = Array("SQLite format 3\0".utf8)
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw .unusable(.storeReadOnly, "\(path) cannot be read. Check its rights.")
        }
        defer { try? file.close() }
        do {
            let start = try file.read(upToCount: magic.count) ?? Data()
            guard start.isEmpty || Array(start) == magic || isRecoverable else {
                throw StoreError.unusable(.storeNotOurs, "\(path) is not an SQLite database. Use another file.")
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw .unavailable("\(path) cannot be read: \(error)")
        }
    }

    /// Whether beside the file stands what SQLite makes its first page from: while that was written, the power may have been cut. What the
    /// file is, SQLite says then.
    private var isRecoverable: Bool {
        let beginnings: [(suffix: String, bytes: [[UInt8]])] = [
            ("-wal", [[0x37, 0x7F, 0x06, 0x82], [0x37, 0x7F, 0x06, 0x83]]), ("-journal", [[0xD9, 0xD5, 0x05, 0xF9]]),
        ]
        return beginnings.contains { suffix, bytes in
            guard let file = FileHandle(forReadingAtPath: path + suffix) else { return false }
            defer { try? file.close() }
            return bytes.contains(Array((try? file.read(upToCount: 4)) ?? Data()))
        }
    }

    /// Says early that a store cannot be written, where the system knows it.
    func checkWritable() throws(StoreError) {
        let target = exists ? path : URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard access(target, W_OK) != 0 else { return }
        throw .unusable(.storeReadOnly, "\(target) cannot be written: \(String(cString: strerror(errno))). Check its rights.")
    }

    /// Whether the path leads where it did, now that the file is there: a symbolic link to nothing looks like a file that is still to be
    /// made, and SQLite makes what it points to.
    var isStill: Bool { Self.realPath(path) == path }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
