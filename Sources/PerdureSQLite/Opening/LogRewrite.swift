internal import GRDBSQLite

extension Session {
    /// Writes what an earlier process has left in the log once more, and waits until it is on the disk.
    ///
    /// A process may end after it has written a commit and before the disk has it. What it wrote is still in the system's memory, and looks to
    /// whoever opens the file next like any commit. If the disk has refused it, the system takes it for written all the same: later syncs do
    /// not try it again and say that all is well. What is committed behind it would be gone with it when the power is cut. Written anew, it is
    /// on the disk, or this sync fails.
    func rewriteLog() throws {
        // Whoever cannot write confirms nothing either.
        guard !isReadOnly else { return }
        // Nobody else writes to the log meanwhile.
        try write {
            guard let log = try LogFile(of: self) else { return }
            try log.rewrite()
        }
    }
}

/// The write-ahead log as SQLite's own layer below it sees it.
private struct LogFile {
    private let file: UnsafeMutablePointer<sqlite3_file>
    private let methods: sqlite3_io_methods
    private let size: Int

    private static let headerSize = 32, frameHeaderSize = 24
    /// SQLite's layer takes no more than 128 KiB at once.
    private static let chunk = 1 << 16

    /// - Returns: nil if there is none, or nothing in it.
    init?(of session: Session) throws {
        guard let file = session.logFile, let methods = file.pointee.pMethods else { return nil }
        self.file = file
        self.methods = methods.pointee
        var size: sqlite3_int64 = 0
        try Self.check(methods.pointee.xFileSize(file, &size))
        guard size > Self.headerSize else { return nil }
        self.size = Int(size)
    }

    /// Every frame that may belong to the log as it stands; behind them is what is left of earlier rounds.
    func rewrite() throws {
        let header = try rewrite(at: 0, Self.headerSize)
        let pageSize = header[8..<12].reduce(0) { $0 << 8 | Int($1) }, salts = header[16..<24]
        // One that SQLite would not take for a log is none.
        guard pageSize >= 512, pageSize <= 1 << 16 else { return }
        let frame = Self.frameHeaderSize + pageSize, count = max(1, Self.chunk / frame)
        var place = Self.headerSize
        while place < size {
            let bytes = try rewrite(at: place, min(count * frame, size - place))
            guard bytes.count >= Self.frameHeaderSize, bytes[8..<16].elementsEqual(salts) else { break }
            place += bytes.count
        }
        try Self.check(methods.xSync(file, SQLITE_SYNC_NORMAL))
    }

    private func rewrite(at place: Int, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try Self.check(methods.xRead(file, &bytes, Int32(count), sqlite3_int64(place)))
        try Self.check(methods.xWrite(file, bytes, Int32(count), sqlite3_int64(place)))
        return bytes
    }

    private static func check(_ code: Int32) throws(SQLFailure) {
        guard code == SQLITE_OK else { throw SQLFailure(code: code, message: "the log could not be written again") }
    }
}
