import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Synchronization
import Testing

/// Histories that are put into an archive before they leave their store.
@Suite(.timeLimit(.minutes(5))) struct ArchiveTests {
    private struct Death: Error {}

    private static let echo = Flow { input, context in
        try await context.read("echo", input: input) { text, _ in text }
    }

    /// Leaves a file with closed runs of a namespace that is archived, whose time is over, and a folder.
    private func withClosedRuns(
        _ inputs: [String] = ["x"], _ body: (EngineHarness, String, [RunID]) async throws -> Void
    ) async throws {
        try await withEngines { harness in
            let folder = (harness.path as NSString).deletingLastPathComponent + "/archive"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try await harness.open { Self.echo }
            var runs: [RunID] = []
            for input in inputs {
                let run = try await harness.start(input)
                #expect(try await run.result() == input)
                runs.append(run.id)
            }
            try await harness.observer().changeNamespace("default", by: EngineHarness.ada) {
                $0 = NamespaceSettings(closedAfter: .days(90), archive: true)
            }
            try await harness.stop()
            harness.clock.advance(by: .days(91))
            try await body(harness, folder, runs)
        }
    }

    /// The file is opened as an engine opens it, by a process without one.
    private func withStore<Result>(_ harness: EngineHarness, _ body: (any Store) async throws -> Result) async throws -> Result {
        let clock = harness.clock
        let store = try await StoreConfiguration.sqlite(harness.path, clock: { clock.now() }).open(.engine)
        do {
            let result = try await body(store)
            await store.close()
            return result
        } catch {
            await store.close()
            throw error
        }
    }

    private func makeArchivist(_ store: any Store, _ harness: EngineHarness, _ archive: HistoryArchive?) -> Archivist {
        let recorder = harness.logs
        return Archivist(store, archive: archive, logger: Logger(label: "perdure.test") { _ in recorder }) { _ in true }
    }

    /// Where the one run's file is.
    private func file(_ run: RunID, _ harness: EngineHarness, _ folder: String) async throws -> String {
        let day = try #require(try await harness.record(run).closedAt).description.prefix(10)
        var head = try await harness.record(run).tombstone?.head
        if head == nil { head = try await harness.history(run).last.map(ChainHead.init(after:)) }
        let last = try #require(head)
        return "\(folder)/default/\(day)/flow/\(run).\(last.seq).\(Hex.encode(last.hash.bytes.prefix(6))).jsonl"
    }

    // Promise: 30
    @Test func aRunExpiresOnceItsHistoryIsInTheArchiveAndBothProveEachOther() async throws {
        try await withClosedRuns { harness, folder, runs in
            let history = try await harness.history(runs[0])
            try await withStore(harness) { store in
                var blind = makeArchivist(store, harness, nil)
                #expect(try await blind.round() == Archivist.Report())
                #expect(try await harness.record(runs[0]).tombstone == nil)
                var seeing = makeArchivist(store, harness, HistoryArchive(folder))
                let report = try await seeing.round()
                #expect(report.archived == 1 && report.expired == 1 && report.trouble == nil)
            }
            let path = try await file(runs[0], harness, folder)
            let report = try await ArchiveReport.make(path, place: path.split(separator: "/").suffix(4).map(String.init))
            #expect(report.problems == [])
            #expect(report.events == history.count && report.head?.hash == history.last?.hash)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect(report.digest == SaltedDigest.plain(Array(bytes)))
            let end = try await harness.attributes(.runExpired, of: runs[0])
            #expect(end["archive"]?.stringValue == Hex.encode(report.digest))
            #expect(end["last_hash"]?.stringValue == report.head?.hash.description)
            var exported = try HistoryFile(path)
            #expect(try exported.next()?.events == history)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/.partial") == [])
        }
    }

    @Test(arguments: ArchiveStep.allCases.filter { $0 != .replace })
    func aProcessThatDiesWhileItArchivesLosesNothingAndTheNextOneGoesOn(step: ArchiveStep) async throws {
        try await withClosedRuns(["x", "y"]) { harness, folder, runs in
            let hasDied = Mutex(false)
            var dying = HistoryArchive(folder)
            dying.onStep = { next in
                guard next == step, !hasDied.withLock({ $0 }) else { return }
                hasDied.withLock { $0 = true }
                throw Death()
            }
            let archive = dying
            try await withStore(harness) { store in
                var first = makeArchivist(store, harness, archive)
                await #expect(throws: StoreError.self) { try await first.round() }
            }
            #expect(hasDied.withLock { $0 })
            for run in runs { #expect(try await harness.record(run).tombstone == nil) }
            try await withStore(harness) { store in
                var second = makeArchivist(store, harness, HistoryArchive(folder))
                let report = try await second.round()
                #expect(report.archived == 2 && report.expired == 2)
            }
            for run in runs {
                let report = try await ArchiveReport.make(try await file(run, harness, folder))
                #expect(report.problems == [])
                #expect(
                    try await harness.attributes(.runExpired, of: run)["archive"]?.stringValue == Hex.encode(report.digest))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/.partial") == [])
        }
    }

    @Test func twoThatArchiveTheSameRunsAtOnceLeaveOneSoundFileOfEach() async throws {
        try await withClosedRuns((1...8).map { "input \($0)" }) { harness, folder, runs in
            try await withStore(harness) { store in
                let both = (
                    makeArchivist(store, harness, HistoryArchive(folder)), makeArchivist(store, harness, HistoryArchive(folder))
                )
                @Sendable func round(_ given: Archivist) async throws -> Archivist.Report {
                    var archivist = given
                    return try await archivist.round()
                }
                async let first = round(both.0)
                async let second = round(both.1)
                let reports = try await [first, second]
                #expect(reports.map(\.expired).reduce(0, +) == 8)
                #expect(reports.allSatisfy { $0.trouble == nil })
            }
            for run in runs {
                let report = try await ArchiveReport.make(try await file(run, harness, folder))
                #expect(report.problems == [])
                #expect(
                    try await harness.attributes(.runExpired, of: run)["archive"]?.stringValue == Hex.encode(report.digest))
            }
        }
    }

    @Test func aHistoryThatExpiresWhileASecondProcessWritesItStaysInTheArchive() async throws {
        try await withClosedRuns { harness, folder, runs in
            try await withStore(harness) { store in
                let isHeld = DispatchSemaphore(value: 0), isFirst = Mutex(true)
                let (writes, written) = AsyncStream<Void>.makeStream()
                var slow = HistoryArchive(folder)
                slow.onStep = { step in
                    let holds = isFirst.withLock { isFirst in
                        defer { if step == .write { isFirst = false } }
                        return isFirst && step == .write
                    }
                    guard holds else { return }
                    written.yield()
                    isHeld.wait()
                }
                var second = makeArchivist(store, harness, slow)
                async let late = second.round()
                for await _ in writes { break }
                var first = makeArchivist(store, harness, HistoryArchive(folder))
                #expect(try await first.round().expired == 1)
                isHeld.signal()
                let report = try await late
                #expect(report.archived == 0 && report.expired == 0 && report.trouble == nil)
            }
            let report = try await ArchiveReport.make(try await file(runs[0], harness, folder))
            #expect(report.problems == [])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/.partial") == [])
        }
    }

    @Test func aNoteWhoseFileIsGoneDoesNotLetTheHistoryGo() async throws {
        try await withClosedRuns { harness, folder, runs in
            let recorder = harness.logs
            try await withStore(harness) { store in
                // It ends after its first part: noted, and not expired yet.
                var first = Archivist(
                    store, archive: HistoryArchive(folder), logger: Logger(label: "perdure.test") { _ in recorder }
                ) { _ in false }
                let report = try await first.round()
                #expect(report.archived == 1 && report.expired == 0)
                try FileManager.default.removeItem(atPath: try await file(runs[0], harness, folder))
                var second = makeArchivist(store, harness, HistoryArchive(folder))
                #expect(try await second.round().expired == 1)
            }
            #expect(try await ArchiveReport.make(try await file(runs[0], harness, folder)).problems == [])
        }
    }

    private enum Ailment: CaseIterable {
        case missing, file, blocked, full
    }

    @Test(arguments: [0, 1, 2, 3])
    func aFolderThatTakesNothingKeepsTheRunsAndIsToldOfOnce(kind: Int) async throws {
        let ailment = Ailment.allCases[kind]
        try await withClosedRuns(["x", "y"]) { harness, folder, runs in
            let files = FileManager.default
            let isFull = Mutex(ailment == .full)
            switch ailment {
            case .missing: try files.removeItem(atPath: folder)
            case .file:
                try files.removeItem(atPath: folder)
                #expect(files.createFile(atPath: folder, contents: Data()))
            case .blocked: #expect(files.createFile(atPath: folder + "/default", contents: Data()))
            case .full: break
            }
            var ailing = HistoryArchive(folder)
            ailing.onStep = { step in
                if step == .sync, isFull.withLock({ $0 }) { throw ArchiveProblem.folder("No space left on device") }
            }
            let archive = ailing
            try await withStore(harness) { store in
                var archivist = makeArchivist(store, harness, archive)
                for _ in 0..<3 {
                    let report = try await archivist.round()
                    #expect(report.trouble != nil && report.archived == 0 && report.expired == 0)
                }
                #expect(harness.logs.count("nothing can be archived; what has to be archived first stays in the store") == 1)
                for run in runs { #expect(try await harness.history(run).count > 1) }
                isFull.withLock { $0 = false }
                if ailment == .file { try files.removeItem(atPath: folder) }
                if ailment == .blocked { try files.removeItem(atPath: folder + "/default") }
                try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
                #expect(try await archivist.round().expired == 2)
                #expect(harness.logs.count("histories are archived again") == 1)
            }
        }
    }

    @Test func aSoundFileInItsPlaceIsLeftAndADamagedOneWrittenAnew() async throws {
        try await withClosedRuns(["x", "y"]) { harness, folder, runs in
            var archive = HistoryArchive(folder)
            archive.onStep = { if $0 == .note { throw Death() } }
            let dying = archive
            try await withStore(harness) { store in
                var first = makeArchivist(store, harness, dying)
                await #expect(throws: StoreError.self) { try await first.round() }
            }
            var inodes: [Int] = []
            for run in runs { inodes.append(try inode(try await file(run, harness, folder))) }
            let damaged = URL(fileURLWithPath: try await file(runs[1], harness, folder))
            try Data(try Data(contentsOf: damaged).dropLast(40)).write(to: damaged)
            inodes[1] = try inode(damaged.path)
            try await withStore(harness) { store in
                var second = makeArchivist(store, harness, HistoryArchive(folder))
                let report = try await second.round()
                #expect(report.expired == 2)
            }
            #expect(try inode(try await file(runs[0], harness, folder)) == inodes[0])
            #expect(try inode(try await file(runs[1], harness, folder)) != inodes[1])
            #expect(try await ArchiveReport.make(damaged.path).problems == [])
            // Somebody may want to know what became of it.
            let names = try FileManager.default.contentsOfDirectory(atPath: damaged.deletingLastPathComponent().path)
            #expect(names.count { $0.hasPrefix(damaged.lastPathComponent + ".unsound-") } == 1)
        }
    }

    @Test func whoeverDiesWhileADamagedFileIsReplacedLeavesAFileInItsPlace() async throws {
        try await withClosedRuns { harness, folder, runs in
            try await withStore(harness) { store in
                var archive = HistoryArchive(folder)
                archive.onStep = { if $0 == .note { throw Death() } }
                var first = makeArchivist(store, harness, archive)
                await #expect(throws: StoreError.self) { try await first.round() }
            }
            let place = URL(fileURLWithPath: try await file(runs[0], harness, folder))
            try Data(try Data(contentsOf: place).dropLast(40)).write(to: place)
            let damaged = try Data(contentsOf: place)
            try await withStore(harness) { store in
                var archive = HistoryArchive(folder)
                archive.onStep = { if $0 == .replace { throw Death() } }
                var second = makeArchivist(store, harness, archive)
                await #expect(throws: StoreError.self) { try await second.round() }
                let left = try Data(contentsOf: place)
                #expect(left == damaged)
                var third = makeArchivist(store, harness, HistoryArchive(folder))
                let report = try await third.round()
                #expect(report.expired == 1)
            }
            #expect(try await ArchiveReport.make(place.path).problems == [])
        }
    }

    @Test func whatCannotBeReadIsNotTakenForDamagedAndHoldsUpNoOther() async throws {
        try await withClosedRuns(["x", "y"]) { harness, folder, runs in
            let place = try await file(runs[0], harness, folder), files = FileManager.default
            // A folder can be opened, and not be read.
            try files.createDirectory(atPath: place, withIntermediateDirectories: true)
            try await withStore(harness) { store in
                var archivist = makeArchivist(store, harness, HistoryArchive(folder))
                let report = try await archivist.round()
                #expect(report.expired == 1 && report.trouble == nil, "the other one is not held up")
                let left = try files.contentsOfDirectory(atPath: place)
                #expect(left.isEmpty)
                try files.removeItem(atPath: place)
                var later = makeArchivist(store, harness, HistoryArchive(folder))
                let next = try await later.round()
                #expect(next.expired == 1)
            }
        }
    }

    private func inode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int)
    }

    @Test func aHistoryThatDoesNotHoldTogetherStaysAndKeepsNoOther() async throws {
        try await withClosedRuns(["x", "y"]) { harness, folder, runs in
            try Tampering.change(
                harness.path,
                "UPDATE events SET output = '\"z\"' WHERE seq = 2 AND run = (SELECT number FROM runs WHERE id = '\(runs[0])')")
            try await withStore(harness) { store in
                var archivist = makeArchivist(store, harness, HistoryArchive(folder))
                for expired in [1, 0, 0] {
                    let report = try await archivist.round()
                    #expect(report.expired == expired && report.trouble == nil)
                }
            }
            #expect(try await harness.record(runs[0]).tombstone == nil)
            #expect(try await harness.record(runs[1]).tombstone != nil)
            #expect(harness.logs.count("a history cannot be archived and stays in the store") == 1)
            // The end of the test looks at chains.
            try Tampering.change(
                harness.path,
                "UPDATE events SET output = '\"x\"' WHERE seq = 2 AND run = (SELECT number FROM runs WHERE id = '\(runs[0])')")
        }
    }

    // Promise: 30
    @Test func aFileThatWasChangedCutOrMovedIsFound() async throws {
        let long = String(repeating: "long ", count: 30_000)
        try await withClosedRuns([long]) { harness, folder, runs in
            try await withStore(harness) { store in
                var archivist = makeArchivist(store, harness, HistoryArchive(folder))
                let report = try await archivist.round()
                #expect(report.expired == 1)
            }
            let path = try await file(runs[0], harness, folder), place = path.split(separator: "/").suffix(4).map(String.init)
            let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            #expect(bytes.count > 150_000)
            #expect(try await ArchiveReport.make(path, place: place).problems == [])
            #expect(try await ArchiveReport.make(path, place: ["other", place[3]]).problems.count == 1)
            for position in stride(from: bytes.count / 3, to: bytes.count, by: bytes.count / 3) {
                var changed = bytes
                changed[position] ^= 1
                try Data(changed).write(to: URL(fileURLWithPath: path))
                #expect(try await ArchiveReport.make(path).problems.isEmpty == false)
                try Data(bytes[..<position]).write(to: URL(fileURLWithPath: path))
                #expect(try await ArchiveReport.make(path).problems.isEmpty == false)
            }
        }
    }

    @Test(arguments: [
        ("orders", "orders"), ("..", "%2e."), (".", "%2e"), ("", "%"), ("a/b", "a%2fb"), ("%2f", "%252f"),
        ("größe", "gr%c3%b6%c3%9fe"),
        ("A.b-c_9", "A.b-c_9"),
    ])
    func namesOfFilesAreSafe(name: String, file: String) {
        #expect(ArchiveName.safe(name) == file)
    }

    @Test func longNamesStayDifferent() {
        let name = String(repeating: "w", count: 300)
        #expect(ArchiveName.safe(name + "1") != ArchiveName.safe(name + "2"))
        #expect(ArchiveName.safe(name).utf8.count < 150)
    }

    @Test func anEngineWithAnArchiveArchivesAndOneWithoutKeeps() async throws {
        try await withClosedRuns { harness, folder, runs in
            try await harness.open { Self.echo }
            let other = try await harness.start("y")
            #expect(try await other.result() == "y")
            try await harness.untilPausing(for: .seconds(60))
            #expect(try await harness.record(runs[0]).tombstone == nil)
            try await harness.stop()
            try await harness.open(configure: { $0.archive = HistoryArchive(folder) }) { Self.echo }
            try await harness.advanceUntil(by: .seconds(1)) { try await harness.record(runs[0]).tombstone != nil }
            #expect(try await harness.record(other.id).tombstone == nil)
        }
    }
}
