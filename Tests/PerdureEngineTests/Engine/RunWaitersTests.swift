import Foundation
import Perdure
import PerdureHistory
import Synchronization
import Testing

@testable import PerdureEngine

/// Who is woken by what becomes of a run.
@Suite(.timeLimit(.minutes(5))) struct RunWaitersTests {
    private let waiters = RunWaiters()
    private let run = RunID(milliseconds: 1, random: (1, 2))

    private func wait(_ update: String?) -> Task<Bool, Never> {
        Task { [waiters, run] in await waiters.wait(for: run, update: update) { false } }
    }

    private func until(count: Int) async throws {
        while waiters.count != count {
            await Task.yield()
            try Task.checkCancellation()
        }
    }

    @Test func aReplyWakesWhoeverWaitsForItAndNobodyElse() async throws {
        let first = wait("a"), again = wait("a"), other = wait("b"), end = wait(nil)
        try await until(count: 4)
        waiters.wake(run, updates: ["a", "unknown"])
        #expect(await first.value)
        #expect(await again.value)
        #expect(waiters.count == 2)
        waiters.wake(run)
        #expect(await other.value)
        #expect(await end.value)
        #expect(waiters.isEmpty)
    }

    @Test func aWaitThatIsCancelledEndsAlone() async throws {
        let first = wait("a"), other = wait("a")
        try await until(count: 2)
        first.cancel()
        #expect(await first.value)
        #expect(waiters.count == 1)
        waiters.wake(run, updates: ["a"])
        #expect(await other.value)
        #expect(waiters.isEmpty)
    }

    @Test func aConditionThatHoldsEndsItsOwnWait() async throws {
        let other = wait(nil)
        try await until(count: 1)
        #expect(await waiters.wait(for: run) { true })
        #expect(waiters.count == 1)
        waiters.close()
        #expect(await other.value == false)
    }

    @Test func manyUpdatesOfOneRunAskTheStoreForTheirOwnRepliesOnly() async throws {
        enum Add: Update {
            static let name = "add"
            typealias Payload = Int
            typealias Reply = Int
        }
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    _ = try await context.signal(Poke.self)
                    var sum = 0
                    for _ in 0..<60 {
                        try await context.update(Add.self) { number in
                            sum += number
                            return number
                        }
                    }
                    return "\(sum)"
                }
            }
            let run = try await harness.start(), engine = try harness.engine, looks = Mutex(0)
            harness.script.set { call in
                if case .run = call { looks.withLock { $0 += 1 } }
                return .apply
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<60 {
                    group.addTask {
                        let reply = try await run.update(Add.self, number, by: EngineHarness.bob)
                        #expect(reply == number)
                    }
                }
                while engine.waiters.count < 60 {
                    await Task.yield()
                    try Task.checkCancellation()
                }
                try await run.signal(Poke.self, "go", by: EngineHarness.bob)
                try await group.waitForAll()
            }
            #expect(try await run.result() == "1770")
            #expect(looks.withLock { $0 } < 600)
        }
    }
}
