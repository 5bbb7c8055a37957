import Crypto
import Foundation

/// A file that is being written and takes its place when it is whole. It is locked as long as its process lives, so that another one can
/// tell what a dead one has left.
final class PartialFile {
    let path: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var hasher = SHA256()

    private static let folder = ".partial"
    private static let bufferSize = 1 << 20

    init(below root: String) throws(ArchiveProblem) {
        let folder = "\(root)/\(Self.folder)"
        try Folders.make(folder)
        var made = try Self.make(in: folder)
        // Before it was locked another process may have taken it for what a dead one has left.
        while made.isTaken {
            close(made.descriptor)
            made = try Self.make(in: folder)
        }
        (path, descriptor) = (made.path, made.descriptor)
    }

    private static func make(in folder: String) throws(ArchiveProblem) -> (path: String, descriptor: Int32, isTaken: Bool) {
        let path = "\(folder)/\(UUID().uuidString.lowercased())"
        // For the one user alone: what is in it may be personal, or secret.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("'\(path)' cannot be made") }
        // Where a file system has no locks, what was left is not cleared away.
        let isLocked = flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK
        return (path, descriptor, !isLocked || access(path, F_OK) != 0)
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) throws(ArchiveProblem) {
        buffer += bytes
        if buffer.count >= Self.bufferSize { try flush() }
    }

    /// Everything is on the disk then.
    /// - Returns: the SHA-256 of what was written.
    func sync() throws(ArchiveProblem) -> [UInt8] {
        try flush()
        guard fsync(descriptor) == 0 else { throw .system("'\(path)' cannot be synced") }
        return Array(hasher.finalize())
    }

    /// Puts it in its place, unless something is there. A second name is made first: `rename` would replace what is there.
    /// - Returns: whether nothing was there.
    func move(to target: String) throws(ArchiveProblem) -> Bool {
        if link(path, target) != 0 {
            if errno == EEXIST { return false }
            throw .system("'\(target)' cannot be put in its place")
        }
        discard()
        return true
    }

    /// Takes the place of a file that cannot be used. That one keeps another name beside it, which no archive looks for; there is a file in
    /// the place all the time.
    func replace(_ target: String, onceNamed: () throws -> Void) throws {
        guard link(target, "\(target).unsound-\(UUID().uuidString.lowercased())") == 0 || errno == ENOENT else {
            throw ArchiveProblem.system("'\(target)' cannot be set aside")
        }
        try onceNamed()
        guard rename(path, target) == 0 else { throw ArchiveProblem.system("'\(target)' cannot be put in its place") }
    }

    func discard() { unlink(path) }

    private func flush() throws(ArchiveProblem) {
        hasher.update(data: buffer)
        var written = 0
        while written < buffer.count {
            let count = buffer[written...].withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system("'\(path)' cannot be written") }
            written += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Removes what processes have left that died while they wrote.
    static func clear(below root: String) {
        let folder = "\(root)/\(Self.folder)"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            let path = "\(folder)/\(name)", descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(path) }
            close(descriptor)
        }
    }
}

/// Folders of an archive.
enum Folders {
    static func check(_ path: String) throws(ArchiveProblem) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw .folder("the folder '\(path)' is not there")
        }
        guard isFolder.boolValue else { throw .folder("'\(path)' is no folder") }
    }

    static func make(_ path: String) throws(ArchiveProblem) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw .system("the folder '\(path)' cannot be made") }
    }

    /// What is in the file stays there then.
    static func syncFile(_ path: String) throws(ArchiveProblem) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file("'\(path)' cannot be opened") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .file("'\(path)' cannot be synced") }
    }

    /// What was put into the folder stays there then.
    static func sync(_ path: String) throws(ArchiveProblem) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("the folder '\(path)' cannot be opened") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system("the folder '\(path)' cannot be synced") }
    }
}

extension ArchiveProblem {
    /// What the system says now.
    fileprivate static func system(_ what: String) -> ArchiveProblem { .folder("\(what): \(String(cString: strerror(errno)))") }

    /// The same of a file that is there already: it stops nothing but what it is about, as long as others can be opened.
    fileprivate static func file(_ what: String) -> ArchiveProblem {
        [EMFILE, ENFILE, ENOMEM].contains(errno) ? .system(what) : .run("\(what): \(String(cString: strerror(errno)))")
    }
}
