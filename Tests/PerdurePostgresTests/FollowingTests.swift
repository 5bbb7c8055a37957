import Logging
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdureEngine
@testable import PerdurePostgres

/// Who follows what befalls runs, where several write at the same time.
struct FollowingTests: TwoNodeTests {
    /// What another node does that begins a run and does not come to its end: its number is taken, and nobody sees it.
    private static let slowStart = """
        SELECT pg_advisory_xact_lock_shared(\(AdvisoryLock.restorations.rawValue));
        CREATE TEMP TABLE late ON COMMIT DROP AS SELECT * FROM perdure.runs ORDER BY number LIMIT 1;
        CREATE TEMP TABLE first ON COMMIT DROP AS
            SELECT events.* FROM perdure.events JOIN late ON events.run = late.number WHERE seq = 1;
        UPDATE late SET number = nextval('perdure.run_numbers'), id = gen_random_uuid(), key = NULL;
        UPDATE first SET run = (SELECT number FROM late);
        INSERT INTO perdure.runs SELECT * FROM late;
        INSERT INTO perdure.events SELECT * FROM first
        """

    // Promise: 43
    @Test func `a run that is seen after ones with larger numbers is told all the same`() async throws {
        try await withNodes { one, two, harness in
            let told = Mutex<Set<String>>([])
            let client = Client(store: two) { _ in throw NothingThrown() }
            let follower = try HistoryFollower("spans", client: client, logger: Logger(label: "test")) { record, events in
                told.withLock { told in for event in events { told.insert("\(record.number) \(event.seq)") } }
            }
            for _ in 0..<2 { try await follower.sweep() }
            _ = try await one.commit([SampleRun(at: harness.clock.now).creation])
            try await follower.sweep()
            let slow = try await harness.database.hold(Self.slowStart)
            _ = try await one.commit([SampleRun(at: harness.clock.now).creation])
            #expect(try await two.runMakers().count == 1)
            for _ in 0..<4 { try await follower.sweep() }
            let numbers = try await one.runNumbers(before: nil, limit: 10).sorted()
            #expect(told.withLock { $0 } == Set(numbers.map { "\($0) 1" }))
            #expect(numbers.count == 2)
            try await slow.commit()
            #expect(try await two.runMakers().isEmpty)
            // More begin meanwhile.
            _ = try await one.commit([SampleRun(at: harness.clock.now).creation])
            for _ in 0..<3 { try await follower.sweep() }
            let all = try await one.runNumbers(before: nil, limit: 10).sorted()
            #expect(all.count == 4)
            #expect(told.withLock { $0 } == Set(all.map { "\($0) 1" }))
        }
    }
}
