import Synchronization
import Testing

@testable import PerdureEngine

@Suite struct JobTaskIDTests {
    @Test func `the runtime here tells tasks apart`() {
        #expect(JobTaskIDs.areReliable)
    }

    @Test func `ids that are always zero fail the self-test`() {
        #expect(!JobTaskIDs.passSelfTest { _ in 0 })
    }

    @Test func `ids that are equal for different tasks fail the self-test`() {
        #expect(!JobTaskIDs.passSelfTest { _ in 7 })
    }

    @Test func `ids that differ within a task fail the self-test`() {
        let counter = Atomic<UInt64>(1)
        #expect(!JobTaskIDs.passSelfTest { _ in counter.add(1, ordering: .relaxed).newValue })
    }

    @Test(arguments: [true, false])
    func `a task keeps its identity over waits and differs from its siblings`(knowsTasks: Bool) throws {
        let run = TestRun(knowsTasks: knowsTasks)
        let ids = Mutex<[UInt64?]>([])
        let note: @Sendable () -> Void = { ids.withLock { $0.append(run.executor.currentTaskID) } }
        run.start { run in
            await withThrowingTaskGroup(of: Void.self) { group in
                for name in ["a", "b"] {
                    group.addTask {
                        note()
                        try await run.wait(name)
                        note()
                    }
                }
            }
        }
        run.wake("a", "b")
        let seen = try ids.withLock { $0 }.map { try #require($0) }
        try #require(seen.count == 4)
        #expect(seen[0] == seen[2])
        #expect(seen[1] == seen[3])
        #expect(seen[0] != seen[1])
        #expect(run.executor.currentTaskID == nil)
    }
}
