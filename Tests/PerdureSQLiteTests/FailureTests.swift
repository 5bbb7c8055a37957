import Foundation
import GRDB
import GRDBSQLite
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdureSQLite

/// Disks that fail and fill, processes in the way, transactions cut in the middle.
struct FailureTests {
    let harness: SQLiteHarness

    init() throws { harness = try SQLiteHarness() }

    @Test(
        "A commit that is cut before its end leaves nothing",
        arguments: [StoreFaults.Point.beforeTransaction, .afterItem(0), .afterItem(1), .beforeCommit])
    func torn(_ place: StoreFaults.Point) async throws {
        let armed = Mutex(true)
        let faults = StoreFaults { point in
            if point == place, armed.withLock({ $0 }) { throw StoreError.unavailable("cut") }
        }
        try await harness.withStore(faults) { store in
            armed.withLock { $0 = false }
            try await store.register(SQLiteHarness.node)
            armed.withLock { $0 = true }
            let items = [SampleRun().creation, SampleRun().creation]
            #expect(try await refusal { _ = try await store.commit(items) }.code == .storeUnavailable)
            armed.withLock { $0 = false }
            #expect(try await store.counts(namespace: nil).isEmpty)
            #expect(try await store.commit(items).count == 2)
            #expect(try await store.counts(namespace: nil) == [.ready: 2])
            #expect(try await store.audit().isEmpty)
        }
    }

    @Test("A commit whose acknowledgement is lost is there, and its repeat answers the same")
    func lostAcknowledgement() async throws {
        let losses = Mutex(0)
        let faults = StoreFaults { point in
            if point == .afterCommit, losses.withLock({ if $0 > 0 { $0 -= 1; return true } else { return false } }) {
                throw StoreError.outcomeUnknown("lost")
            }
        }
        try await harness.withStore(faults) { store in
            try await store.register(SQLiteHarness.node)
            let run = SampleRun()
            losses.withLock { $0 = 1 }
            #expect(try await refusal { _ = try await store.commit([run.creation]) }.code == .storeUnavailable)
            guard case .created = try await store.commit([run.creation]).first else { throw CannotGoOn() }
            #expect(try await store.counts(namespace: nil) == [.ready: 1])
        }
    }

    @Test("A claim whose acknowledgement is lost, even twice, is given to its repeat")
    func lostClaim() async throws {
        let losses = Mutex(0)
        let faults = StoreFaults { point in
            if point == .afterCommit, losses.withLock({ if $0 > 0 { $0 -= 1; return true } else { return false } }) {
                throw StoreError.outcomeUnknown("lost")
            }
        }
        try await harness.withStore(faults) { store in
            try await store.register(SQLiteHarness.node)
            _ = try await store.commit([SampleRun().creation, SampleRun().creation])
            let request = ClaimRequest(
                node: SQLiteHarness.node.id, build: "b1", hosted: [.init(workflow: "greeting", version: "1")], limit: 1)
            losses.withLock { $0 = 2 }
            for _ in 0..<2 { _ = try await refusal { _ = try await store.claim(request) } }
            #expect(try await store.claim(request).runs.map(\.record.number) == [1])
            #expect(try await store.claim(request).runs.map(\.record.number) == [2])
            #expect(try await store.claim(request).runs.isEmpty)
        }
    }

    @Test("A full disk refuses what does not fit, keeps what is there, and goes on when there is room")
    func full() async throws {
        let big = EventDraft(.stepSucceeded, subject: "big", output: .inline([UInt8](repeating: 120, count: 1_000_000)))
        let given = try await harness.withOneRun()
        try await harness.withStore {
            $0.pageLimit = 100
        } _: { store in
            try await store.register(SQLiteHarness.node)
            var attempt = given
            let error = try await refusal { _ = try await store.commit([.advance(attempt.advance([big]))]) }
            #expect(error.code == .storeUnavailable && error.description.contains("full"))
            #expect(try await store.events(of: given.number, after: 0, limit: 100) == given.events)
            var small = given
            guard case .advanced = try await store.commit([.advance(small.advance([EventDraft(.statusReported)]))]).first else {
                throw CannotGoOn()
            }
            #expect(try await store.audit().isEmpty)
        }
    }

    @Test(
        "A file that is not where it was takes nothing more, whoever writes to it, and loses nothing",
        arguments: ["perdure.db", "perdure.db-wal"], [true, false])
    func moved(_ name: String, isReplaced: Bool) async throws {
        let files = FileManager.default, path = harness.folder + "/" + name
        let store = try await harness.open(.engine), client = try await harness.open(.client)
        try await store.register(SQLiteHarness.node)
        _ = try await store.commit([SampleRun().creation])
        _ = try await client.commit([SampleRun().creation])
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        try files.moveItem(atPath: path, toPath: path + ".away")
        if isReplaced { try bytes.write(to: URL(fileURLWithPath: path)) }
        for store in [store, client] {
            let error = try await refusal { _ = try await store.commit([SampleRun().creation]) }
            #expect(error.code == .storeMissing && error.description.contains(path))
        }
        #expect(try await refusal { _ = try await store.claim(Self.claim) }.code == .storeMissing)
        if isReplaced { try files.removeItem(atPath: path) }
        try files.moveItem(atPath: path + ".away", toPath: path)
        #expect(try await store.commit([SampleRun().creation]).count == 1)
        await client.close()
        await store.close()
        #expect(try await harness.withStore { try await $0.counts(namespace: nil) } == [.ready: 3])
    }

    private static let claim = ClaimRequest(
        node: SQLiteHarness.node.id, build: "b1", hosted: [.init(workflow: "greeting", version: "1")], limit: 1)

    @Test("The work of a step in a file that is not where it was leaves nothing")
    func movedUnderTransaction() async throws {
        let store = try await harness.open(.engine)
        try await store.register(SQLiteHarness.node)
        var run = SampleRun(owner: SQLiteHarness.node.id)
        guard case .created(let record)? = try await store.commit([run.creation]).first else { throw CannotGoOn() }
        run.record = record
        let advance = run.advance([EventDraft(.stepSucceeded, subject: "a")])
        try FileManager.default.moveItem(atPath: harness.path, toPath: harness.path + ".away")
        let transaction = StoreTransaction(limit: .seconds(1)) { _ in
            []
        } record: { _ in
            advance
        }
        let error = try await refusal { _ = try await store.transact(transaction) }
        // Its connection is opened only now.
        #expect(error.code == .storeMissing)
        try? FileManager.default.removeItem(atPath: harness.path)
        try FileManager.default.moveItem(atPath: harness.path + ".away", toPath: harness.path)
        #expect(try await store.events(of: run.number, after: 0, limit: 10).count == 1)
        await store.close()
    }

    @Test("A write lock that another process keeps is unavailable after the limit, and nothing is lost")
    func busy() async throws {
        try await harness.withStore {
            $0.busyLimit = .milliseconds(20)
        } _: { store in
            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            let other = try DatabaseQueue(path: harness.path, configuration: configuration)
            let items = [SampleRun().creation]
            try await other.writeWithoutTransaction { database in
                try database.execute(sql: "BEGIN IMMEDIATE")
            }
            let error = try await refusal { _ = try await store.commit(items) }
            #expect(error.code == .storeUnavailable && error.description.contains("another process"))
            try await other.writeWithoutTransaction { database in try database.execute(sql: "ROLLBACK") }
            try other.close()
            guard case .created = try await store.commit(items).first else { throw CannotGoOn() }
        }
    }

    @Test("Waiting for the write lock is close at first, patient later, and ends at the limit")
    func busyWait() {
        #expect(BusyWait.waited(0) == .zero)
        #expect(BusyWait.waited(50) == .milliseconds(5))
        #expect(BusyWait.waited(1_050) == .milliseconds(1_005))
        #expect(BusyWait(limit: .zero).goesOn(0) == false)
        #expect(BusyWait(limit: .milliseconds(5)).goesOn(50) == false)
        #expect(BusyWait(limit: .milliseconds(5)).goesOn(0))
    }

    @Test("A write-ahead log beyond its limit is told once")
    func logWarning() async throws {
        let warnings = Mutex<[String]>([])
        try await harness.withStore {
            $0.logWarningSize = 1
            $0.onWarning = { warning in warnings.withLock { $0.append(warning) } }
        } _: { store in
            for _ in 0..<200 { _ = try await store.commit([SampleRun().creation]) }
        }
        #expect(warnings.withLock { $0 }.count == 1)
        #expect(warnings.withLock { $0 }.first?.contains("perdure.db-wal") == true)
    }

    @Test("Warnings reach the logger of the store")
    func loggedWarning() async throws {
        let recorder = WarningRecorder()
        let logger = Logger(label: "test") { _ in recorder }
        try await harness.withStore {
            $0.logWarningSize = 1
            $0.onWarning = SQLiteOptions(logger: logger).onWarning
        } _: { store in
            for _ in 0..<200 { _ = try await store.commit([SampleRun().creation]) }
        }
        #expect(recorder.messages.withLock { $0 }.count == 1)
        #expect(recorder.messages.withLock { $0 }.first?.hasPrefix("warning: The write-ahead log") == true)
    }

    @Test(
        "What SQLite answers in numbers becomes a code and a sentence",
        arguments: [
            (SQLITE_BUSY, PerdureError.Code.storeUnavailable), (SQLITE_FULL, .storeUnavailable),
            (SQLITE_IOERR, .storeUnavailable),
            (SQLITE_IOERR | 4 << 8, .storeUnavailable), (SQLITE_CANTOPEN, .storeUnavailable), (SQLITE_NOMEM, .storeUnavailable),
            (SQLITE_READONLY, .storeReadOnly), (SQLITE_READONLY | 4 << 8, .storeMissing), (SQLITE_CORRUPT, .storeCorrupt),
            (SQLITE_NOTADB, .storeNotOurs), (SQLITE_ERROR, .storeCorrupt), (SQLITE_CONSTRAINT, .storeCorrupt),
        ])
    func mapping(_ number: Int32, _ code: PerdureError.Code) {
        let error = StoreError(SQLFailure(code: number, message: "said SQLite"))
        #expect(error.code == code)
        #expect(error.description.contains("said SQLite"))
    }

    @Test("Only an input/output error of the COMMIT itself leaves the outcome open")
    func unknownOutcome() {
        var failure = SQLFailure(code: SQLITE_IOERR | 4 << 8, message: "fsync")
        failure.isCommit = true
        guard case .outcomeUnknown = StoreError(failure) else {
            Issue.record("not unknown")
            return
        }
        failure = SQLFailure(code: SQLITE_FULL, message: "full")
        failure.isCommit = true
        guard case .unavailable = StoreError(failure) else {
            Issue.record("not unavailable")
            return
        }
    }
}
