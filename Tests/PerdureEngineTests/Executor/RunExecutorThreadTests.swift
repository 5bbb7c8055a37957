import Dispatch
import Foundation
import Synchronization
import Testing

@testable import PerdureEngine

@Suite struct RunExecutorThreadTests {
    @Test func `children, async let, concurrent functions and handlers stay on the run`() {
        let run = TestRun()
        run.start { run in
            run.note("root")
            async let bound: Void = run.note("async let")
            await bound
            await withTaskGroup(of: Void.self) { group in group.addTask { run.note("group") } }
            await withDiscardingTaskGroup { group in group.addTask { run.note("discarding group") } }
            await concurrently { run.note("concurrent") }
            await concurrently { await nonsending { run.note("and back") } }
            await Task.yield()
            run.note("after yield")
        }
        #expect(
            run.log.all == [
                "root", "async let", "group", "discarding group", "concurrent", "and back", "after yield",
            ])
        #expect(run.isFinished)
        #expect(!run.executor.takeForeignEnqueue())
    }

    @Test func `task-locals flow into children and concurrent functions`() {
        let run = TestRun()
        run.start { run in
            await Scope.$path.withValue("/order") {
                async let bound: Void = run.note("async let \(Scope.path)")
                await bound
                await withTaskGroup(of: Void.self) { group in group.addTask { run.note("group \(Scope.path)") } }
                await concurrently { run.note("concurrent \(Scope.path)") }
            }
            run.note("outside \(Scope.path)")
        }
        #expect(run.log.all == ["async let /order", "group /order", "concurrent /order", "outside /"])
    }

    @Test func `cancellation handlers run on the draining thread, in the order of the tasks`() {
        let run = TestRun()
        run.start { run in
            await withTaskGroup(of: Void.self) { group in
                for child in 0..<3 {
                    group.addTask {
                        await withTaskCancellationHandler {
                            try? await run.wait("\(child)")
                        } onCancel: {
                            run.note("cancel \(child)")
                        }
                    }
                }
            }
        }
        run.cancelRoot()
        #expect(run.log.all == ["cancel 0", "cancel 1", "cancel 2"])
        run.wake("0", "1", "2")
        #expect(run.isFinished)
    }

    @Test func `a drain runs nothing before its opening part is over`() {
        let executor = RunExecutor()
        let log = Log()
        executor.drain {
            #expect(executor.isDrainingOnThisThread)
            #expect(executor.currentTaskID == nil)
            Task(executorPreference: executor) { log.add("task") }
            log.add("before")
        }
        #expect(log.all == ["before", "task"])
        #expect(!executor.isDrainingOnThisThread)
    }

    @Test func `runs can be drained by different threads in turn`() async {
        let threads = EngineThreads(count: 1)
        let run = TestRun()
        run.start { run in
            try await run.wait("signal")
            run.note("woken")
        }
        await withCheckedContinuation { continuation in
            threads.submit {
                run.wake("signal")
                continuation.resume()
            }
        }
        #expect(run.log.all == ["woken"])
        #expect(!run.executor.takeForeignEnqueue())
        await threads.stop()
    }

    @Test func `one run can be drained from inside of another`() {
        let outer = TestRun()
        let inner = TestRun()
        outer.start { outer in
            inner.start { inner in inner.note("inner") }
            outer.note("outer")
        }
        #expect(inner.log.all == ["inner"])
        #expect(outer.log.all == ["outer"])
    }

    @Test func `draining a run from inside of itself is a bug that stops the process`() async {
        await #expect(processExitsWith: .failure) {
            let executor = RunExecutor()
            executor.drain { executor.drain() }
        }
    }

    @Test func `nothing is left when the tasks of a run have ended`() {
        weak var executor: RunExecutor?
        do {
            let run = TestRun()
            executor = run.executor
            run.start { run in
                async let other: Void = run.wait("a")
                try await run.wait("b")
                try await other
            }
            run.wake("a", "b")
            #expect(run.isFinished)
        }
        #expect(executor == nil)
    }

    @Test func `a task keeps its executor for as long as it waits`() {
        let wait = Wait()
        weak var executor: RunExecutor?
        do {
            let created = RunExecutor()
            executor = created
            created.drain {
                Task(executorPreference: created) {
                    await wait.untilResumed()
                }
            }
        }
        #expect(executor != nil)
        executor?.drain { wait.resume() }
        #expect(executor == nil)
    }
}

private enum Scope {
    @TaskLocal static var path = "/"
}

@concurrent private func concurrently(_ body: @Sendable () async -> Void) async {
    await body()
}

private func nonsending(_ body: () async -> Void) async {
    await body()
}
