import Foundation
import GRDBSQLite
import Synchronization

/// Stands between SQLite and the operating system, for files that lie in the folder of a `FaultyDisk`. It is the default of this process,
/// so that the product opens its files as it always does; all others go straight on.
enum DiskVFS {
    private struct Parts {
        let system: UnsafeMutablePointer<sqlite3_vfs>
        let methods: UnsafeMutablePointer<sqlite3_io_methods>
    }

    /// What SQLite takes for its file; that of the system lies behind it.
    private struct File {
        var base: sqlite3_file
        var watched: Unmanaged<WatchedFile>?
    }

    private static let disks = Mutex<[FaultyDisk]>([])
    /// Where the system's file begins: aligned for whatever it holds.
    private static let offset = 64

    nonisolated(unsafe) private static let parts: Parts? = {
        guard let system = sqlite3_vfs_find(nil) else { return nil }
        let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        methods.initialize(to: ioMethods)
        let own = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        own.initialize(to: system.pointee)
        own.pointee.zName = UnsafePointer(strdup("perdure-faulty-disk"))
        own.pointee.pNext = nil
        own.pointee.szOsFile = Int32(offset) + system.pointee.szOsFile
        own.pointee.xOpen = { _, name, file, flags, outFlags in DiskVFS.open(name, file, flags, outFlags) }
        own.pointee.xDelete = { _, name, syncs in DiskVFS.delete(name, syncs) }
        guard sqlite3_vfs_register(own, 1) == SQLITE_OK else { return nil }
        return Parts(system: system, methods: methods)
    }()

    /// - Returns: Whether SQLite has taken it.
    static func mount(_ disk: FaultyDisk) -> Bool {
        guard parts != nil else { return false }
        disks.withLock { $0.append(disk) }
        return true
    }

    static func unmount(_ disk: FaultyDisk) { disks.withLock { $0.removeAll { $0 === disk } } }

    private static func disk(of path: UnsafePointer<CChar>?) -> (FaultyDisk, String)? {
        guard let path = path.map({ String(cString: $0) }) else { return nil }
        guard let disk = disks.withLock({ $0.first { path.hasPrefix($0.folder + "/") } }) else { return nil }
        return (disk, String(path.dropFirst(disk.folder.count + 1)))
    }

    // MARK: Files

    private static func open(
        _ path: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let parts, let file else { return SQLITE_CANTOPEN }
        guard let (disk, name) = disk(of: path) else {
            return parts.system.pointee.xOpen(parts.system, path, file, flags, outFlags)
        }
        file.pointee.pMethods = nil
        let verdict = disk.verdict(on: .open)
        guard verdict == .pass else { return verdict.code(DiskCall.open.failure) }
        let existed = path.map { access($0, F_OK) == 0 } ?? false
        let code = parts.system.pointee.xOpen(parts.system, path, system(file), flags, outFlags)
        guard code == SQLITE_OK else { return code }
        if !existed { disk.add(.create(name)) }
        UnsafeMutableRawPointer(file).bindMemory(to: File.self, capacity: 1).pointee.watched = .passRetained(
            WatchedFile(disk: disk, name: name))
        file.pointee.pMethods = UnsafePointer(parts.methods)
        return SQLITE_OK
    }

    private static func delete(_ path: UnsafePointer<CChar>?, _ syncs: Int32) -> Int32 {
        guard let parts else { return SQLITE_IOERR }
        guard let (disk, name) = disk(of: path) else { return parts.system.pointee.xDelete(parts.system, path, syncs) }
        let verdict = disk.verdict(on: .delete)
        guard verdict == .pass else { return verdict.code(DiskCall.delete.failure) }
        let code = parts.system.pointee.xDelete(parts.system, path, syncs)
        if code == SQLITE_OK { disk.add(.delete(name)) }
        return code
    }

    /// The file of the system behind ours.
    private static func system(_ file: UnsafeMutablePointer<sqlite3_file>) -> UnsafeMutablePointer<sqlite3_file> {
        (UnsafeMutableRawPointer(file) + offset).assumingMemoryBound(to: sqlite3_file.self)
    }

    /// Passes a call on if the disk does it.
    private static func pass(
        _ call: DiskCall, _ file: UnsafeMutablePointer<sqlite3_file>?,
        _ body: (WatchedFile, UnsafeMutablePointer<sqlite3_file>, sqlite3_io_methods) -> Int32
    ) -> Int32 {
        through(file) { watched, real, methods in
            let verdict = watched.disk.verdict(on: call)
            guard verdict == .pass else { return verdict.code(call.failure) }
            return body(watched, real, methods)
        }
    }

    /// Passes a call on whatever the disk is like.
    private static func through(
        _ file: UnsafeMutablePointer<sqlite3_file>?,
        _ body: (WatchedFile, UnsafeMutablePointer<sqlite3_file>, sqlite3_io_methods) -> Int32
    ) -> Int32 {
        guard let file else { return SQLITE_MISUSE }
        let own = UnsafeMutableRawPointer(file).assumingMemoryBound(to: File.self)
        let real = system(file)
        guard let watched = own.pointee.watched, let methods = real.pointee.pMethods else { return SQLITE_MISUSE }
        return body(watched.takeUnretainedValue(), real, methods.pointee)
    }

    // MARK: What is done to files

    private static var ioMethods: sqlite3_io_methods {
        var methods = sqlite3_io_methods()
        // Without memory-mapped reading and writing: everything passes through here.
        methods.iVersion = 2
        addData(to: &methods)
        addLocks(to: &methods)
        return methods
    }

    private static func addData(to methods: inout sqlite3_io_methods) {
        methods.xClose = { file in
            let code = DiskVFS.through(file) { _, real, methods in methods.xClose(real) }
            guard let file else { return code }
            let own = UnsafeMutableRawPointer(file).assumingMemoryBound(to: File.self)
            own.pointee.watched?.release()
            own.pointee.watched = nil
            return code
        }
        methods.xRead = { file, bytes, count, offset in
            DiskVFS.pass(.read, file) { _, real, methods in methods.xRead(real, bytes, count, offset) }
        }
        methods.xWrite = { file, bytes, count, offset in
            DiskVFS.through(file) { watched, real, methods in DiskVFS.write(watched, real, methods, bytes, count, offset) }
        }
        methods.xTruncate = { file, size in
            DiskVFS.pass(.truncate, file) { watched, real, methods in
                let code = methods.xTruncate(real, size)
                if code == SQLITE_OK { watched.disk.add(.truncate(watched.name, Int(size))) }
                return code
            }
        }
        methods.xSync = { file, flags in
            DiskVFS.through(file) { watched, real, methods in
                let verdict = watched.disk.verdict(on: .sync)
                guard verdict == .pass else {
                    // What a disk did not take at a sync, the system forgets: the next sync says that all is well.
                    watched.disk.add(.lost(watched.name))
                    return verdict.code(DiskCall.sync.failure)
                }
                // Nothing here rests on a real disk.
                if !watched.disk.lies { watched.disk.add(.sync(watched.name)) }
                return SQLITE_OK
            }
        }
        methods.xFileSize = { file, size in DiskVFS.pass(.size, file) { _, real, methods in methods.xFileSize(real, size) } }
    }

    private static func write(
        _ watched: WatchedFile, _ real: UnsafeMutablePointer<sqlite3_file>, _ methods: sqlite3_io_methods,
        _ bytes: UnsafeRawPointer?, _ count: Int32, _ offset: sqlite3_int64
    ) -> Int32 {
        var size: sqlite3_int64 = 0
        _ = methods.xFileSize(real, &size)
        let verdict = watched.disk.verdict(on: .write, extends: offset + sqlite3_int64(count) > size)
        let written: Int32 =
            switch verdict {
            case .pass: count
            case .cutShort, .full: count / 2
            case .refuse: 0
            }
        if written > 0, let bytes {
            let code = methods.xWrite(real, bytes, written, offset)
            guard code == SQLITE_OK else { return code }
            let data = UnsafeRawBufferPointer(start: bytes, count: Int(written))
            watched.disk.add(.write(watched.name, Int(offset), Array(data)))
        }
        return verdict == .pass ? SQLITE_OK : verdict.code(DiskCall.write.failure)
    }

    private static func addLocks(to methods: inout sqlite3_io_methods) {
        methods.xLock = { file, level in DiskVFS.pass(.lock, file) { _, real, methods in methods.xLock(real, level) } }
        methods.xUnlock = { file, level in DiskVFS.through(file) { _, real, methods in methods.xUnlock(real, level) } }
        methods.xCheckReservedLock = { file, result in
            DiskVFS.pass(.lock, file) { _, real, methods in methods.xCheckReservedLock(real, result) }
        }
        methods.xFileControl = { file, operation, argument in
            DiskVFS.through(file) { _, real, methods in methods.xFileControl(real, operation, argument) }
        }
        methods.xSectorSize = { file in DiskVFS.through(file) { _, real, methods in methods.xSectorSize(real) } }
        methods.xDeviceCharacteristics = { file in
            DiskVFS.through(file) { _, real, methods in methods.xDeviceCharacteristics(real) }
        }
        methods.xShmMap = { file, page, size, extends, memory in
            DiskVFS.pass(.share, file) { _, real, methods in methods.xShmMap(real, page, size, extends, memory) }
        }
        methods.xShmLock = { file, offset, count, flags in
            // Giving a lock back cannot fail.
            guard flags & SQLITE_SHM_LOCK != 0 else {
                return DiskVFS.through(file) { _, real, methods in methods.xShmLock(real, offset, count, flags) }
            }
            return DiskVFS.pass(.lock, file) { _, real, methods in methods.xShmLock(real, offset, count, flags) }
        }
        methods.xShmBarrier = { file in
            _ = DiskVFS.through(file) { _, real, methods in
                methods.xShmBarrier(real)
                return SQLITE_OK
            }
        }
        methods.xShmUnmap = { file, deletes in DiskVFS.through(file) { _, real, methods in methods.xShmUnmap(real, deletes) } }
    }
}

/// One open file of a disk.
private final class WatchedFile {
    let disk: FaultyDisk
    let name: String

    init(disk: FaultyDisk, name: String) {
        self.disk = disk
        self.name = name
    }
}
