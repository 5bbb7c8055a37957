import Foundation
import GRDB
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdureSQLite

struct OpeningTests {
    let harness: SQLiteHarness

    init() throws { harness = try SQLiteHarness() }

    private func refusal(_ role: StoreConfiguration.Role = .engine) async throws -> StoreError {
        try await PerdureSQLiteTests.refusal { await (try harness.open(role)).close() }
    }

    @Test("A file that is no database is refused, left alone, and gets no lock file")
    func foreignFile() async throws {
        let text = Data("dear diary, today I made a file called perdure.db".utf8)
        try text.write(to: URL(fileURLWithPath: harness.path))
        for role in [StoreConfiguration.Role.engine, .client] {
            #expect(try await refusal(role).code == .storeNotOurs)
        }
        #expect(FileManager.default.contents(atPath: harness.path) == text)
        #expect(try FileManager.default.contentsOfDirectory(atPath: harness.folder) == ["perdure.db"])
    }

    @Test("A file that only begins like a database is refused")
    func headerOnly() async throws {
        try Data("SQLite format 3\0and then nonsense, for some hundred bytes".utf8).write(to: URL(fileURLWithPath: harness.path))
        #expect([.storeNotOurs, .storeCorrupt].contains(try await refusal().code))
    }

    @Test(
        "Another application's database is refused and not changed",
        arguments: ["CREATE TABLE bookmarks (url TEXT)", "PRAGMA application_id = 252006674"])
    func foreignDatabase(_ sql: String) async throws {
        try harness.tamper("VACUUM", sql)
        #expect(try await refusal().code == .storeNotOurs)
        #expect(try await refusal(.client).code == .storeNotOurs)
        #expect(try harness.ask("PRAGMA journal_mode") != "wal")
    }

    @Test("An empty file becomes a store, for an engine; a client finds nothing in it")
    func emptyFile() async throws {
        try Data().write(to: URL(fileURLWithPath: harness.path))
        #expect(try await refusal(.client).code == .storeMissing)
        let breaches = try await harness.withStore { try await $0.audit() }
        #expect(breaches.isEmpty)
    }

    @Test("A schema from a later release is refused by name of its number")
    func tooNew() async throws {
        _ = try await harness.withOneRun()
        try harness.tamper("PRAGMA user_version = 99", "UPDATE meta SET value = '98' WHERE name = 'oldest_compatible_schema'")
        for role in [StoreConfiguration.Role.engine, .client] {
            let error = try await refusal(role)
            #expect(error.code == .storeTooNew && error.description.contains("schema 99"))
        }
    }

    @Test("A schema from a later release that still lets this one in is used as it is")
    func newerButCompatible() async throws {
        let run = try await harness.withOneRun()
        try harness.tamper("PRAGMA user_version = 99", "ALTER TABLE runs ADD COLUMN colour TEXT")
        let found = try await harness.withStore { try await $0.run(run.record.id) }
        #expect(found == run.record)
        #expect(try harness.ask("PRAGMA user_version") == "99")
    }

    @Test("A store of an earlier schema gets what it lacks from an engine, and keeps what it has")
    func olderSchema() async throws {
        let run = try await harness.withOneRun()
        try harness.goBackToVersion1()
        #expect(try await refusal(.client).code == .storeUnavailable)
        let found = try await harness.withStore { store in
            #expect(try await store.schedules(.listed(namespace: nil, after: nil, limit: 1)).isEmpty)
            #expect(try await store.audit() == [])
            return try await store.run(run.record.id)
        }
        #expect(found == run.record)
        #expect(try harness.ask("PRAGMA user_version") == "\(Schema.version)")
    }

    @Test("A damaged row of an earlier schema keeps no other from being opened")
    func damagedOlderSchema() async throws {
        let sound = try await harness.withOneRun(), damaged = try await harness.withOneRun(key: "other")
        try harness.goBackToVersion1()
        try harness.tamper("UPDATE runs SET state = 'x' WHERE number = \(damaged.record.number)")
        let (found, complaints) = try await harness.withStore { store in
            (try await store.run(sound.record.id), try await store.audit())
        }
        #expect(found == sound.record && !complaints.isEmpty)
    }

    @Test("The first queue of a file closes it to releases that know none, and no later opening lets them in again")
    func queuesCloseTheFile() async throws {
        let oldest = "SELECT value FROM meta WHERE name = 'oldest_compatible_schema'"
        try await harness.withStore { _ in }
        #expect(try harness.ask(oldest) == "1")
        try await harness.withStore { store in
            let queue = QueueKey(namespace: "default", name: "mail")
            try await store.setQueue(queue, QueueLimits(concurrency: 1), by: Sample.person)
        }
        #expect(try harness.ask(oldest) == "3")
        try await harness.withStore { _ in }
        #expect(try harness.ask(oldest) == "3")
    }

    @Test("A file whose history went back is closed to releases that would go on")
    func restorationsCloseTheFile() async throws {
        let oldest = "SELECT value FROM meta WHERE name = 'oldest_compatible_schema'"
        _ = try await harness.withOneRun()
        #expect(try harness.ask(oldest) == "1")
        try await harness.withStore { store in
            let begun = try await store.beginRestoration(by: "ada", reason: "she says so")
            #expect(try harness.ask(oldest) == "6")
            _ = try await store.markRestored(begun.number, limit: 10, by: Sample.person)
        }
        // What stands in histories since then is nothing for them either.
        #expect(try harness.ask(oldest) == "6")
    }

    @Test("A schema number that cannot be is refused")
    func negativeSchema() async throws {
        _ = try await harness.withOneRun()
        try harness.tamper("PRAGMA user_version = -5")
        #expect(try await refusal().code == .storeCorrupt)
    }

    @Test("A client does not migrate, and says who does")
    func clientOnOlderSchema() async throws {
        _ = try await harness.withOneRun()
        try harness.tamper("PRAGMA user_version = 0")
        let error = try await refusal(.client)
        #expect(error.code == .storeUnavailable && error.description.contains("Start an engine"))
    }

    @Test("A client on a missing file says so and makes none")
    func missing() async throws {
        #expect(try await refusal(.client).code == .storeMissing)
        #expect(try FileManager.default.contentsOfDirectory(atPath: harness.folder).isEmpty)
    }

    @Test(
        "A path that cannot be a store is refused with a sentence",
        arguments: [
            ("", PerdureError.Code.usage), ("/tmp", .storeNotOurs), ("/no/such/folder/perdure.db", .storeMissing),
            ("nul\0byte", .usage),
        ])
    func badPaths(_ path: String, _ code: PerdureError.Code) async throws {
        let error = try await PerdureSQLiteTests.refusal { await (try StoreConfiguration.sqlite(path).open(.engine)).close() }
        #expect(error.code == code)
    }

    #if os(Linux)
        @Test("A folder that takes no files is read-only, even for root")
        func readOnlyFolder() async throws {
            let error = try await PerdureSQLiteTests.refusal {
                await (try StoreConfiguration.sqlite("/sys/perdure.db").open(.engine)).close()
            }
            #expect(error.code == .storeReadOnly)
        }
    #endif

    @Test("Two paths of one file share one lock")
    func symbolicLink() async throws {
        let link = harness.folder + "/link.db"
        let store = try await harness.open(.engine)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: harness.path)
        let error = try await PerdureSQLiteTests.refusal { await (try StoreConfiguration.sqlite(link).open(.engine)).close() }
        #expect(error.code == .storeLocked)
        await store.close()
    }

    @Test("The lock of another process is respected, and its number told")
    func foreignLock() async throws {
        let descriptor = Foundation.open(harness.path + ".lock", O_RDWR | O_CREAT, 0o644)
        defer { Foundation.close(descriptor) }
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        _ = pwrite(descriptor, "4711\n", 5, 0)
        let error = try await refusal()
        #expect(error.code == .storeLocked && error.description.contains("is used by process 4711; stop it or use another file"))
        #expect(flock(descriptor, LOCK_UN) == 0)
        await (try harness.open(.engine)).close()
    }

    @Test("A program started by the engine does not inherit the lock")
    func lockIsNotInherited() async throws {
        let store = try await harness.open(.engine)
        var child = pid_t()
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sleep"), strdup("600"), nil]
        #expect(posix_spawn(&child, "/bin/sleep", nil, nil, &arguments, nil) == 0)
        for argument in arguments { free(argument) }
        await store.close()
        await (try harness.open(.engine)).close()
        kill(child, SIGKILL)
        waitpid(child, nil, 0)
    }

    @Test("An engine that could not open gives the lock back")
    func lockIsGivenBack() async throws {
        try harness.tamper("VACUUM", "CREATE TABLE bookmarks (url TEXT)")
        #expect(try await refusal().code == .storeNotOurs)
        #expect(try await refusal().code == .storeNotOurs)
    }

    @Test("A new store has our number, its schema's version, and an identity that stays")
    func identity() async throws {
        let first = try await harness.withStore { $0.identity }
        #expect(UUID(uuidString: first) != nil)
        #expect(try await harness.withStore { $0.identity } == first)
        #expect(try harness.ask("PRAGMA application_id") == "\(Schema.applicationID)")
        #expect(try harness.ask("PRAGMA user_version") == "\(Schema.version)")
        #expect(try harness.ask("PRAGMA journal_mode") == "wal")
    }

    @Test("A link to a file that is still to be made shares the lock of that file")
    func danglingLink() async throws {
        let link = harness.folder + "/link.db"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: harness.path)
        let store = try await StoreConfiguration.sqlite(link).open(.engine)
        #expect(try await refusal().code == .storeLocked)
        let error = try await PerdureSQLiteTests.refusal { await (try StoreConfiguration.sqlite(link).open(.engine)).close() }
        #expect(error.code == .storeLocked)
        await store.close()
        await (try harness.open(.engine)).close()
    }
}
