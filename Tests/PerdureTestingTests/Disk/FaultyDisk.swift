import Foundation
import GRDBSQLite
import Synchronization

/// What SQLite asks of the operating system and what can fail there.
enum DiskCall: String, CaseIterable, Sendable {
    case open, read, write, truncate, sync, size, delete, lock
    /// The index of the log, which the processes share in memory.
    case share

    /// The extended result code of the failure.
    var failure: Int32 {
        let detail: Int32? =
            switch self {
            case .open: nil
            case .read: 1
            case .write: 3
            case .sync: 4
            case .truncate: 6
            case .size: 7
            case .delete: 10
            case .lock: 20
            case .share: 21
            }
        return detail.map { SQLITE_IOERR | $0 << 8 } ?? SQLITE_CANTOPEN
    }
}

/// What has reached the disk, in order, with what was known outside at that moment.
enum DiskEntry: Sendable {
    case create(String)
    case write(String, Int, [UInt8])
    case truncate(String, Int)
    case delete(String)
    /// All that was done to the file until here stays.
    case sync(String)
    /// What was done to the file since its last sync, and was not, will not be there after a power cut, whatever is synced later.
    case lost(String)
    /// Somebody outside has been told something, or has had something done.
    case note(String)

    var isOfFolder: Bool {
        switch self {
        case .create, .delete: true
        case .write, .truncate, .sync, .lost, .note: false
        }
    }
    var isSync: Bool { if case .sync = self { true } else { false } }
    var note: String? { if case .note(let note) = self { note } else { nil } }
}

/// What fails, and how.
struct DiskFault: Sendable, CustomStringConvertible {
    enum Manner: String, Sendable {
        /// This one call.
        case once
        /// This one write, after half of it.
        case cutShort
        /// This call and every other after it.
        case fromThenOn
        /// This write, which makes its file longer, and every one that does after it, each after half of it.
        case full
    }

    let call: DiskCall
    /// Counted from 1 among the calls of the kind, in `full` among writes that make a file longer.
    let number: Int
    let manner: Manner
    /// Of what fails once: how many calls later the next one does.
    var interval: Int?

    var description: String { "\(call.rawValue) \(number)\(interval.map { ", then each \($0)th" } ?? ""), \(manner.rawValue)" }

    fileprivate func isDue(_ count: Int) -> Bool {
        guard count > number, let interval else { return count == number }
        return (count - number) % interval == 0
    }
}

/// A folder whose files SQLite finds on a disk that fails as a test says, and that keeps a record of what has reached it.
final class FaultyDisk: Sendable {
    enum Verdict: Sendable {
        case pass, refuse, cutShort, full

        func code(_ failure: Int32) -> Int32 { self == .full ? SQLITE_FULL : failure }
    }

    private struct State {
        var fault: DiskFault?
        var count = 0
        var counts: [DiskCall: Int] = [:]
        var hasFailed = false
        var hasEverFailed = false
        var log: [DiskEntry] = []
        var lies = false
    }

    struct NotMounted: Error {}

    /// Without symbolic links, as SQLite names it.
    let folder: String
    let path: String
    private let state = Mutex(State())

    /// An empty disk, or one with these files.
    /// - Parameter log: what has reached it before.
    init(_ files: [String: [UInt8]] = [:], log: [DiskEntry] = []) throws {
        // In memory where the system has such a place: what stays after a power cut is reckoned, not tried.
        let memory = URL(filePath: "/dev/shm")
        let base = FileManager.default.isWritableFile(atPath: memory.path) ? memory : FileManager.default.temporaryDirectory
        let place = base.resolvingSymlinksInPath().appending(path: "perdure-disk-\(UUID())")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        folder = place.path
        path = folder + "/perdure.db"
        for (name, bytes) in files { try Data(bytes).write(to: place.appending(path: name)) }
        state.withLock { $0.log = log }
        guard DiskVFS.mount(self) else { throw NotMounted() }
    }

    /// It goes with its folder. To be called when nobody has a file of it open any more.
    func remove() {
        DiskVFS.unmount(self)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// What whoever looks now finds in the files of the database, be it on the disk or only in the system's memory. The index of the log is
    /// not among them: it ends with the processes that have it open.
    func files() throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in ["perdure.db", "perdure.db-wal", "perdure.db-journal"] {
            files[name] = FileManager.default.contents(atPath: "\(folder)/\(name)").map(Array.init)
        }
        return files
    }

    // MARK: Failing

    /// From now on this fails, counted from here. Nil heals the disk.
    func fail(_ fault: DiskFault?) {
        state.withLock { state in
            state.fault = fault
            state.count = 0
            state.hasFailed = false
        }
    }

    /// Whether the fault has come about, and nobody has healed the disk since.
    var hasFailed: Bool { state.withLock { $0.hasFailed } }
    var hasEverFailed: Bool { state.withLock { $0.hasEverFailed } }

    /// A disk that says of every sync that it was done, and does none.
    var lies: Bool {
        get { state.withLock { $0.lies } }
        set { state.withLock { $0.lies = newValue } }
    }

    func verdict(on call: DiskCall, extends: Bool = false) -> Verdict {
        state.withLock { state in
            state.counts[call, default: 0] += 1
            guard let fault = state.fault else { return .pass }
            if state.hasFailed, fault.manner == .fromThenOn { return .refuse }
            guard fault.call == call, fault.manner != .full || extends else { return .pass }
            state.count += 1
            guard fault.isDue(state.count) || (state.hasFailed && fault.manner == .full) else { return .pass }
            state.hasFailed = true
            state.hasEverFailed = true
            return switch fault.manner {
            case .once, .fromThenOn: .refuse
            case .cutShort: .cutShort
            case .full: .full
            }
        }
    }

    // MARK: The record

    func add(_ entry: DiskEntry) { state.withLock { $0.log.append(entry) } }
    /// Says what is known outside by now.
    func note(_ text: String) { add(.note(text)) }
    var log: [DiskEntry] { state.withLock { $0.log } }
    var counts: [DiskCall: Int] { state.withLock { $0.counts } }
}
