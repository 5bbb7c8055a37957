import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

@Suite(.timeLimit(.minutes(5))) struct ManyTimersTests {
    private static let count = 10_000

    /// Runs of `Flow` that have begun to sleep for a minute.
    private static func asleep(_ harness: EngineHarness) async throws {
        let store = try await harness.observer().store, now = harness.clock.now()
        for thousand in 0..<(count / 1_000) {
            let items = (0..<1_000).map { number in
                let number = UInt64(thousand * 1_000 + number)
                let id = RunID(milliseconds: now.microseconds / 1_000, random: (number, number &* 0x9E37_79B9_7F4A_7C15))
                let due = now + .seconds(60)
                let record = RunRecord(
                    id: id, namespace: "default", workflow: "flow", version: "1", key: nil, inputDigest: "", salt: [],
                    state: .waiting,
                    wakeAt: due, createdAt: now)
                var head = ChainHead.start(namespace: "default", run: id.description)
                let drafts = [
                    EventDraft(
                        .runStarted, attributes: ["workflow": "flow", "version": "1", "build": "build-1"],
                        input: .inline(Array("\"x\"".utf8))),
                    EventDraft(.timerStarted, subject: "sleep", attributes: ["due": .integer(due.microseconds)]),
                ]
                return CommitItem.create(
                    NewRun(record: record, events: head.append(contentsOf: drafts, run: id.description, now: now)))
            }
            for result in try await store.commit(items) {
                guard case .created = result else { throw CancellationError() }
            }
        }
    }

    // Promise: 20
    @Test func tenThousandTimersAtOnceAreTakenOnAFewAtATime() async throws {
        try await withEngines { harness in
            let peak = Mutex(0), opened = Mutex<Engine?>(nil)
            harness.script.set { _ in
                guard let engine = opened.withLock({ $0 }) else { return .apply }
                let count = engine.state.withLock { $0.table.ownedCount }
                peak.withLock { $0 = max($0, count) }
                return .apply
            }
            let engine = try await harness.open(configure: {
                $0.activeRuns = 64
                $0.cachedRuns = 0
            }) {
                Flow { input, context in
                    try await context.sleep(for: .seconds(60))
                    return input
                }
            }
            opened.withLock { $0 = engine }
            try await Self.asleep(harness)
            #expect(engine.state.withLock { $0.table.count } == 0)
            harness.clock.advance(by: .seconds(60))
            let observer = try await harness.observer()
            try await harness.until { try await observer.store.counts(namespace: nil) == [.completed: Self.count] }
            #expect(peak.withLock { $0 } <= 64 && peak.withLock { $0 } > 1)
            try await harness.untilInMemory(of: engine) { $0 == 0 }
            #expect(engine.scheduler.entryCount < 300)
            opened.withLock { $0 = nil }
        }
    }
}
