import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Testing

/// Engines on a disk that fails: whatever happens to it, both runs come to the end that they would have come to, with each effect once.
@Suite(.timeLimit(.minutes(5))) struct EngineDiskTests {
    private static let start = Timestamp(microseconds: 1_767_225_600_000_000)

    /// A store without runs: its making is for the tests of the store alone.
    private static let empty = Task {
        let disk = try FaultyDisk()
        defer { disk.remove() }
        await (try await StoreConfiguration.sqlite(disk.path).open(.engine)).close()
        return ["perdure.db": Array(try Data(contentsOf: URL(filePath: disk.path)))]
    }

    // MARK: One call fails

    @Test(arguments: [DiskCall.open, .read, .write, .sync, .size])
    func `an engine whose disk fails once at its opening says so, or goes on, and another one can be made`(_ call: DiskCall)
        async throws
    {
        let failures = try await sweep(call, .once) { try await trial(opening: $0) }
        #expect(failures > 0, "\(call.rawValue) was never called")
    }

    @Test(arguments: [DiskCall.read, .write, .sync])
    func `whatever fails once, the engine goes on by itself`(_ call: DiskCall) async throws {
        // Each call fails once, but many in each life.
        let failures = try await sweep(call, .once, interval: 25) { try await trial(working: $0) }
        #expect(failures > 0, "\(call.rawValue) was never called")
    }

    @Test func `a write that is cut short is written again`() async throws {
        let failures = try await sweep(.write, .cutShort, interval: 25) { try await trial(working: $0) }
        #expect(failures > 0)
    }

    @Test func `an engine on a full disk waits until there is room`() async throws {
        let failures = try await sweep(.write, .full, step: 8) { try await trial(working: $0) }
        #expect(failures > 0)
    }

    @Test(arguments: [DiskCall.write, .sync])
    func `a process whose disk fails for good gets nowhere, and the next one loses nothing`(_ call: DiskCall) async throws {
        let failures = try await sweep(call, .fromThenOn, step: call == .write ? 8 : 1) { try await trial(working: $0) }
        #expect(failures > 0)
    }

    /// Tries it with the first such call, the second, and so on until none is left, or until the first one would have its turn again.
    /// - Parameters:
    ///   - interval: of what fails once, how many calls later the next one does.
    ///   - step: of how many calls one is tried.
    /// - Returns: 0 if the fault has never come about.
    private func sweep(
        _ call: DiskCall, _ manner: DiskFault.Manner, interval: Int? = nil, step: Int = 1,
        _ trial: (DiskFault) async throws -> Bool
    ) async throws -> Int {
        var number = 1
        while number <= interval ?? .max,
            try await trial(DiskFault(call: call, number: number, manner: manner, interval: interval))
        {
            number += step
        }
        return number - 1
    }

    /// - Returns: Whether the fault has come about.
    private func trial(opening: DiskFault? = nil, working: DiskFault? = nil) async throws -> Bool {
        let disk = try FaultyDisk(try await Self.empty.value), errands = Errands(disk)
        defer { disk.remove() }
        let fault = opening ?? working, name = fault.map { "\($0)" } ?? "no fault"
        for life in 1...3 {
            let isFirst = life == 1
            let end = try await errands.live(
                from: Self.start + .days(life), opening: isFirst ? opening : nil, working: isFirst ? working : nil
            ) {
                // Somebody makes room.
                if fault?.manner == .full { disk.fail(nil) }
                return fault?.manner == .fromThenOn
            }
            switch end {
            case .closed(let problems):
                #expect(problems == [], "\(name)")
                return disk.hasEverFailed
            case .failed(let error):
                #expect((error as? PerdureError)?.code == .storeUnavailable, "\(name): \(error)")
                // An engine that has been opened does not end over what may pass.
                #expect(isFirst && opening != nil, "\(name): \(error)")
            case .killed: break
            case .standstill(let last):
                Issue.record("\(name): it gets nowhere: \(last)")
                return false
            }
        }
        Issue.record("\(name): three lives are not enough")
        return false
    }

    // MARK: The file is gone

    @Test(arguments: ["perdure.db", "perdure.db-wal"])
    func `an engine whose file was taken away ends, and has confirmed nothing that is not there`(_ name: String) async throws {
        let disk = try FaultyDisk(try await Self.empty.value), away = disk.folder + "/away"
        defer { disk.remove() }
        try FileManager.default.createDirectory(atPath: away, withIntermediateDirectories: true)
        let errands = Errands(disk) { line in
            // In the middle of the step: what comes of it can be recorded no more.
            guard line.hasPrefix("reserve "), let names = try? FileManager.default.contentsOfDirectory(atPath: disk.folder) else {
                return
            }
            for taken in names where taken.hasPrefix(name) {
                try? FileManager.default.moveItem(atPath: "\(disk.folder)/\(taken)", toPath: "\(away)/\(taken)")
            }
        }
        guard case .failed(let error) = try await errands.live(from: Self.start) else {
            Issue.record("it did not end: \(errands.all)")
            return
        }
        #expect((error as? PerdureError)?.code == .storeMissing)
        #expect(!errands.stands("pay"))
        // Whoever puts everything back finds it as it was.
        for taken in try FileManager.default.contentsOfDirectory(atPath: away) {
            try? FileManager.default.removeItem(atPath: "\(disk.folder)/\(taken)")
            try FileManager.default.moveItem(atPath: "\(away)/\(taken)", toPath: "\(disk.folder)/\(taken)")
        }
        let next = Errands(disk, lines: errands.all)
        guard case .closed(problems: []) = try await next.live(from: Self.start + .days(1)) else {
            Issue.record("the next process does not go on: \(next.all)")
            return
        }
    }

    // MARK: The power is cut

    // Promise: 2
    @Test func `after a power cut at any moment the next process goes on with all that was confirmed`() async throws {
        #expect(try await Self.breaches(lies: false) == [])
    }

    @Test func `a disk that does not do what it says of its syncs is found out by what an engine has told`() async throws {
        #expect(try await Self.breaches(lies: true).contains { $0.contains("run_unknown") })
    }

    private static func breaches(lies: Bool) async throws -> [String] {
        let files = try await empty.value, disk = try FaultyDisk(files)
        defer { disk.remove() }
        disk.lies = lies
        guard case .closed(problems: []) = try await Errands(disk).live(from: start) else { return ["even undisturbed"] }
        let log = disk.log
        var breaches: [String] = []
        var seen: Set<Int> = []
        for cut in PowerCut.all(of: log, seeds: 1) {
            let remains = cut.files(after: log, from: files)
            // Many cuts come to the same.
            guard seen.insert(remains.digest(cut.notes(in: log))).inserted else { continue }
            let disk = try FaultyDisk(remains)
            defer { disk.remove() }
            let end = try await Errands(disk, lines: cut.notes(in: log)).live(from: start + .days(1))
            if case .closed(problems: []) = end { continue }
            breaches.append("\(cut): \(end)")
        }
        return breaches
    }
}
