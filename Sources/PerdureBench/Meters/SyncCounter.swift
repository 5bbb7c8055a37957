import GRDBSQLite
import Synchronization

/// Counts how often SQLite, in this process, has waited for the disk.
///
/// The count is taken where the syncs happen: SQLite's own layer to the operating system is put behind one that is the same but for
/// `xSync`, which counts and then calls the original. So commits, checkpoints and everything else are in it, for the engine as for
/// the hand-written program. Only what the original does on top is not: the sync of the folder when a file is new.
enum SyncCounter {
    private static let total = Atomic<Int>(0)
    private static let ofLogs = Atomic<Int>(0)
    /// The addresses of the original functions. Set before the counting layer is used.
    private static let originalOpen = Atomic<UInt>(0)
    private static let originalSync = Atomic<UInt>(0)
    /// The copies that count, by the address of the original: files with and without locks have different ones.
    private static let copies = Mutex<[Kind: UInt]>([:])

    private struct Kind: Hashable {
        let methods: UInt
        let isLog: Bool
    }

    private typealias Open =
        @convention(c) (
            UnsafeMutablePointer<sqlite3_vfs>?, sqlite3_filename?, UnsafeMutablePointer<sqlite3_file>?, Int32,
            UnsafeMutablePointer<Int32>?
        ) -> Int32
    private typealias Sync = @convention(c) (UnsafeMutablePointer<sqlite3_file>?, Int32) -> Int32

    /// All syncs so far.
    static var count: Int { total.load(ordering: .relaxed) }
    /// Those of write-ahead logs: one for each commit, and one for each checkpoint.
    static var logCount: Int { ofLogs.load(ordering: .relaxed) }

    /// Counts from now on what files that are opened later do. Returns whether it could be arranged.
    static let install: Bool = {
        guard let original = sqlite3_vfs_find(nil), let open = original.pointee.xOpen else { return false }
        originalOpen.store(unsafeBitCast(open, to: UInt.self), ordering: .releasing)
        // SQLite keeps it for the rest of the process.
        let counting = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        counting.initialize(to: original.pointee)
        counting.pointee.pNext = nil
        counting.pointee.xOpen = { vfs, name, file, flags, outFlags in
            SyncCounter.open(vfs, name, file, flags, outFlags)
        }
        return sqlite3_vfs_register(counting, 1) == SQLITE_OK
    }()

    private static func open(
        _ vfs: UnsafeMutablePointer<sqlite3_vfs>?, _ name: sqlite3_filename?, _ file: UnsafeMutablePointer<sqlite3_file>?,
        _ flags: Int32, _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        let original = unsafeBitCast(originalOpen.load(ordering: .acquiring), to: Open.self)
        let code = original(vfs, name, file, flags, outFlags)
        guard code == SQLITE_OK, let file, let methods = file.pointee.pMethods, methods.pointee.xSync != nil else { return code }
        let isLog = flags & SQLITE_OPEN_WAL != 0
        file.pointee.pMethods = counting(methods, isLog: isLog) ?? methods
        return code
    }

    /// The file's methods with a sync that counts. All kinds of files share one; a file with another is left alone.
    private static func counting(_ methods: UnsafePointer<sqlite3_io_methods>, isLog: Bool) -> UnsafePointer<sqlite3_io_methods>?
    {
        guard let sync = methods.pointee.xSync else { return nil }
        let address = unsafeBitCast(sync, to: UInt.self)
        let (isFirst, known) = originalSync.compareExchange(expected: 0, desired: address, ordering: .acquiringAndReleasing)
        guard isFirst || known == address else { return nil }
        let kind = Kind(methods: UInt(bitPattern: methods), isLog: isLog)
        let copy = copies.withLock { copies -> UInt in
            if let known = copies[kind] { return known }
            let copy = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
            copy.initialize(to: methods.pointee)
            if isLog {
                copy.pointee.xSync = { SyncCounter.syncLog($0, $1) }
            } else {
                copy.pointee.xSync = { SyncCounter.sync($0, $1) }
            }
            copies[kind] = UInt(bitPattern: copy)
            return UInt(bitPattern: copy)
        }
        return UnsafePointer(bitPattern: copy)
    }

    private static func syncLog(_ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32) -> Int32 {
        ofLogs.wrappingAdd(1, ordering: .relaxed)
        return sync(file, flags)
    }

    private static func sync(_ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32) -> Int32 {
        total.wrappingAdd(1, ordering: .relaxed)
        return unsafeBitCast(originalSync.load(ordering: .acquiring), to: Sync.self)(file, flags)
    }
}
