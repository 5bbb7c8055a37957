internal import GRDBSQLite

extension Session {
    /// Writes the last commit that an earlier process has left in the log once more, and waits until it is on the disk.
    ///
    /// A process may end after it has written a commit and before the disk has it. What it wrote is still in the system's memory, and looks
    /// to whoever opens the file next like any commit. If the disk has refused it, the system takes it for written all the same: later
    /// syncs do not try it again and say that all is well. What is committed behind it would be gone with it when the power is cut. Written
    /// anew, it is on the disk, or this sync fails.
    ///
    /// It can be no other than the last: every commit is synced before the next one is written, and one whose sync has failed is written
    /// over.
    func rewriteLog() throws {
        // Whoever cannot write confirms nothing either.
        guard !isReadOnly else { return }
        // Nobody else writes to the log meanwhile.
        try write {
            guard let log = logFile, let end = try lastFrame() else { return }
            try LogFile(log).rewriteLastCommit(endingAt: end)
        }
    }

    /// The number of frames that the log has as SQLite sees it, from the header of the index that the processes share; nil if there are
    /// none.
    private func lastFrame() throws -> Int? {
        guard let file = mainFile, let methods = file.pointee.pMethods else { return nil }
        var index: UnsafeMutableRawPointer?
        try LogFile.check(methods.pointee.xShmMap(file, 0, 1 << 15, 0, &index))
        // https://www.sqlite.org/walformat.html#the_wal_index_file_format: `mxFrame`, in the byte order of the machine.
        let count = index.map { Int($0.load(fromByteOffset: 16, as: UInt32.self)) } ?? 0
        return count > 0 ? count : nil
    }
}

/// The write-ahead log as SQLite's own layer below it sees it.
private struct LogFile {
    private let file: UnsafeMutablePointer<sqlite3_file>
    private let methods: sqlite3_io_methods

    private static let headerSize = 32, frameHeaderSize = 24

    init(_ file: UnsafeMutablePointer<sqlite3_file>) throws {
        guard let methods = file.pointee.pMethods else { throw SQLFailure(code: SQLITE_IOERR, message: "the log is not open") }
        self.file = file
        self.methods = methods.pointee
    }

    /// The header of the log and the frames behind the commit before.
    func rewriteLastCommit(endingAt last: Int) throws {
        let header = try read(at: 0, Self.headerSize), pageSize = Self.number(header[8..<12])
        // One that SQLite would not take for a log is none.
        guard pageSize >= 512, pageSize <= 1 << 16 else { return }
        try write(header, at: 0)
        let size = Self.frameHeaderSize + pageSize
        func place(_ frame: Int) -> Int { Self.headerSize + (frame - 1) * size }
        var first = last
        // The last frame of a commit says how large the file is behind it; the others say zero.
        while first > 1, Self.number(try read(at: place(first - 1), Self.frameHeaderSize)[4..<8]) == 0 { first -= 1 }
        for frame in first...last { try write(try read(at: place(frame), size), at: place(frame)) }
        try Self.check(methods.xSync(file, SQLITE_SYNC_NORMAL))
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

    private func read(at place: Int, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try Self.check(methods.xRead(file, &bytes, Int32(count), sqlite3_int64(place)))
        return bytes
    }

    private func write(_ bytes: [UInt8], at place: Int) throws {
        try Self.check(methods.xWrite(file, bytes, Int32(bytes.count), sqlite3_int64(place)))
    }

    static func check(_ code: Int32) throws(SQLFailure) {
        guard code == SQLITE_OK else { throw SQLFailure(code: code, message: "the log could not be written again") }
    }
}
