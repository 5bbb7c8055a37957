import Testing

@testable import PerdureEngine

/// Evicting a run must leave no task behind, whatever its author does with the errors.
@Suite struct RunExecutorEvictionTests {
    @Test func `a tree of groups, bindings and handlers unwinds on the draining thread`() {
        let run = TestRun()
        run.start { run in
            defer { run.note("root left") }
            async let bound: Void = run.wait("bound")
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { run.note("group left") }
                for child in 0..<3 {
                    group.addTask {
                        defer { run.note("\(child) left") }
                        do {
                            try await run.wait("child \(child)")
                        } catch {
                            run.note("\(child) caught, cancelled: \(Task.isCancelled)")
                            try await run.wait("clean up \(child)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await bound
        }
        #expect(run.waiting == ["bound", "child 0", "child 1", "child 2"])
        run.evict()
        #expect(
            run.log.all == [
                "0 caught, cancelled: true", "0 left",
                "1 caught, cancelled: true", "1 left",
                "2 caught, cancelled: true", "2 left",
                "group left", "root left", "root threw CancellationError()",
            ])
        #expect(run.isFinished)
        #expect(run.waiting == [])
        #expect(!run.executor.takeForeignEnqueue())
    }

    @Test func `code that ignores the error comes to its end`() {
        let run = TestRun()
        run.start { run in
            await withTaskGroup(of: Void.self) { group in
                for child in 0..<2 { group.addTask { try? await run.wait("child \(child)") } }
            }
            try? await run.wait("more")
            run.note("end")
        }
        run.evict()
        #expect(run.log.all == ["end"])
        #expect(run.isFinished)
    }

    @Test func `a stream between tasks of the run ends with them`() {
        let run = TestRun()
        run.start { run in
            let (stream, feed) = AsyncStream<Int>.makeStream()
            async let feeding: Void = {
                try await run.wait("value")
                feed.yield(1)
            }()
            for await value in stream { run.note("\(value)") }
            run.note("stream ended")
            try await feeding
        }
        run.evict()
        #expect(run.log.all == ["stream ended", "root threw CancellationError()"])
        #expect(run.isFinished)
    }

    @Test func `an evicted run releases its executor`() {
        weak var executor: RunExecutor?
        do {
            let run = TestRun()
            executor = run.executor
            run.start { run in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for child in 0..<3 { group.addTask { try await run.wait("\(child)") } }
                    try await group.waitForAll()
                }
            }
            run.evict()
        }
        #expect(executor == nil)
    }
}
