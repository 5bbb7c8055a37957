import Foundation
import Logging
import Perdure
import PerdureSQLite
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdureEngine

@Suite(.timeLimit(.minutes(5))) struct JournalTests {
    /// A journal over a file, whose pauses end at once. Its writer begins when the body starts it.
    private static func withJournal(_ body: (EngineHarness, Journal) async throws -> Void) async throws {
        try await withEngines { harness in
            let base = try await StoreConfiguration.sqlite(harness.path, clock: { harness.clock.now() }).open(.engine)
            let store = WatchedStore(base, pulse: harness.pulse, script: harness.script)
            let logger = Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }
            let journal = Journal(store: store, logger: logger) { _, action in action() }
            journal.begin()
            try await body(harness, journal)
            journal.close()
            await store.close()
        }
    }

    /// Runs the body on a thread that may block.
    private static func onThread(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                body()
                continuation.resume()
            }
        }
    }

    private static func start(_ journal: Journal) -> Task<Void, any Error> { Task { try await journal.run() } }

    private static func wasCreated(_ result: CommitResult?) -> Bool {
        if case .created? = result { true } else { false }
    }

    @Test func `a helper commits before it returns`() async throws {
        try await Self.withJournal { _, journal in
            let answers = Mutex<[Bool]>([]), seen = Mutex(0)
            await Self.onThread {
                journal.submit(SampleRun().creation, wakesWriter: false) { result in
                    answers.withLock { $0.append(Self.wasCreated(result)) }
                }
                journal.help()
                seen.withLock { $0 = answers.withLock { $0.count } }
            }
            #expect(answers.withLock { $0 } == [true])
            #expect(seen.withLock { $0 } == 1)
        }
    }

    @Test func `a nudge has the writer commit what was handed over quietly`() async throws {
        try await Self.withJournal { _, journal in
            let running = Self.start(journal)
            let result = await withCheckedContinuation { continuation in
                journal.submit(SampleRun().creation, wakesWriter: false) { continuation.resume(returning: $0) }
                journal.nudge()
            }
            #expect(Self.wasCreated(result))
            journal.close()
            try await running.value
        }
    }

    @Test func `what a helper cannot commit is left to the writer, before all that came later`() async throws {
        try await Self.withJournal { harness, journal in
            let commits = Mutex<[Int]>([]), order = Mutex<[String]>([]), pulse = harness.pulse
            harness.script.set { call in
                guard case .commit(let number, let items) = call else { return .apply }
                commits.withLock { $0.append(items.count) }
                return number == 1 ? .fail(.unavailable("the disk is full")) : .apply
            }
            await Self.onThread {
                journal.submit(SampleRun().creation, wakesWriter: false) { _ in
                    order.withLock { $0.append("first") }
                    pulse.ring()
                }
                journal.help()
            }
            journal.submit(SampleRun().creation) { _ in
                order.withLock { $0.append("second") }
                pulse.ring()
            }
            let running = Self.start(journal)
            try await pulse.until { order.withLock { $0.count } == 2 }
            #expect(order.withLock { $0 } == ["first", "second"])
            // The same group again, and only then another.
            #expect(commits.withLock { $0 } == [1, 1, 1])
            journal.close()
            try await running.value
        }
    }

    @Test func `what a helper finds broken ends the journal`() async throws {
        try await Self.withJournal { harness, journal in
            harness.script.set { call in if case .commit = call { .fail(.corrupt("torn")) } else { .apply } }
            let answers = Mutex<[Bool]>([])
            await Self.onThread {
                journal.submit(SampleRun().creation, wakesWriter: false) { result in
                    answers.withLock { $0.append(result == nil) }
                }
                journal.help()
            }
            let running = Self.start(journal)
            await #expect(throws: StoreError.self) { try await running.value }
            #expect(answers.withLock { $0 } == [true])
            #expect(await journal.submit(SampleRun().creation) == nil)
        }
    }

    @Test func `what a helper has left to the writer is answered also if the store is lost before the writer comes`() async throws
    {
        try await Self.withJournal { harness, journal in
            harness.script.set { call in if case .commit = call { .fail(.unavailable("busy")) } else { .apply } }
            let answers = Mutex<[Bool]>([])
            await Self.onThread {
                journal.submit(SampleRun().creation, wakesWriter: false) { result in
                    answers.withLock { $0.append(result == nil) }
                }
                journal.help()
            }
            journal.fail(.corrupt("torn"))
            await #expect(throws: StoreError.self) { try await Self.start(journal).value }
            #expect(answers.withLock { $0 } == [true])
        }
    }

    @Test func `what was handed over quietly is written before a closed journal ends`() async throws {
        try await Self.withJournal { _, journal in
            let answers = Mutex<[Bool]>([])
            journal.submit(SampleRun().creation, wakesWriter: false) { result in
                answers.withLock { $0.append(Self.wasCreated(result)) }
            }
            journal.close()
            try await Self.start(journal).value
            #expect(answers.withLock { $0 } == [true])
        }
    }
}
