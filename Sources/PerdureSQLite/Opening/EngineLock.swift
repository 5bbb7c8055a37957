internal import Foundation
internal import Perdure
internal import PerdureStore
internal import Synchronization

/// The lock that makes one process the engine of a file. The kernel gives it up with the process, however that ends, so whoever
/// holds it knows that every earlier engine of the file is dead.
final class EngineLock: Sendable {
    private let descriptor: Mutex<Int32?>

    /// Takes the lock beside the database, or says who has it.
    init(beside path: String) throws(StoreError) {
        let lockPath = path + ".lock"
        // Not inherited by programs that this process starts: they would hold the lock after our death.
        let descriptor = Foundation.open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.cannotOpen(lockPath, errno) }
        if let reason = Self.take(descriptor) {
            let holder = Self.holder(descriptor)
            Foundation.close(descriptor)
            guard reason == EWOULDBLOCK else {
                throw .unavailable("the lock file \(lockPath) cannot be locked: \(String(cString: strerror(reason)))")
            }
            throw .unusable(.storeLocked, "\(path) is used by \(holder); stop it or use another file.")
        }
        Self.write(getpid(), to: descriptor)
        self.descriptor = Mutex(descriptor)
    }

    /// Whether some process is the engine of the file. Asking takes a shared lock for a moment, which an engine that opens the file at
    /// that moment waits for.
    static func isHeld(beside path: String) -> Bool {
        let descriptor = Foundation.open(path + ".lock", O_RDWR | O_CLOEXEC)
        // Without the file no engine has ever opened this store; one that may not be looked at counts as held.
        guard descriptor >= 0 else { return errno != ENOENT }
        defer { Foundation.close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return true }
        _ = flock(descriptor, LOCK_UN)
        return false
    }

    /// Tries for a moment: a program that this process or the last owner has just started holds a copy of every descriptor between its
    /// `fork` and its `exec`. Returns the reason why the lock cannot be had, or `nil`.
    private static func take(_ descriptor: Int32) -> Int32? {
        for _ in 0..<50 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return nil }
            guard errno == EWOULDBLOCK || errno == EINTR else { return errno }
            usleep(5_000)
        }
        return EWOULDBLOCK
    }

    /// Gives the lock up. The file stays: removing it would let two engines lock two files of one name.
    func release() {
        let taken = descriptor.withLock { descriptor -> Int32? in
            defer { descriptor = nil }
            return descriptor
        }
        guard let taken else { return }
        _ = ftruncate(taken, 0)
        // Closing would not be enough while a program is being started: until it runs, it shares this descriptor.
        _ = flock(taken, LOCK_UN)
        Foundation.close(taken)
    }

    deinit { release() }

    private static func write(_ process: pid_t, to descriptor: Int32) {
        // Only a help for people, so that it may fail.
        let text = Array("\(process)\n".utf8)
        _ = ftruncate(descriptor, 0)
        _ = pwrite(descriptor, text, text.count, 0)
    }

    private static func holder(_ descriptor: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        let digits = buffer.prefix(max(0, count)).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return digits.isEmpty ? "another process" : "process \(String(decoding: digits, as: UTF8.self))"
    }

    private static func cannotOpen(_ path: String, _ reason: Int32) -> StoreError {
        let sentence = "The lock file \(path) cannot be opened: \(String(cString: strerror(reason)))."
        return switch reason {
        case EROFS, EACCES, EPERM: .unusable(.storeReadOnly, "\(sentence) An engine must be able to write to the folder.")
        case ENOENT, ENOTDIR: .unusable(.storeMissing, "\(sentence) Make the folder first.")
        default: .unavailable(sentence)
        }
    }
}
