import Testing

@testable import PerdureEngine

/// The expected orders are literal: the same in debug and release builds is the point.
@Suite struct RunExecutorOrderTests {
    @Test func `siblings of calls of unequal depth end in the order they were started`() {
        let run = TestRun()
        run.start { run in
            await withTaskGroup(of: Void.self) { group in
                for child in 0..<4 {
                    group.addTask {
                        await deep((4 - child) * 2)
                        run.note("\(child)")
                    }
                }
            }
        }
        #expect(run.log.all == ["0", "1", "2", "3"])
        #expect(run.isFinished)
    }

    @Test func `siblings that resume themselves an unequal number of times end in the order they were started`() {
        let run = TestRun()
        run.start { run in
            await withTaskGroup(of: Void.self) { group in
                for child in 0..<4 {
                    group.addTask {
                        for _ in 0..<(4 - child) { await withCheckedContinuation { $0.resume() } }
                        run.note("\(child)")
                    }
                }
            }
        }
        #expect(run.log.all == ["0", "1", "2", "3"])
    }

    @Test func `siblings that mix in concurrent functions end in the order they were started`() {
        let run = TestRun()
        run.start { run in
            await withTaskGroup(of: Void.self) { group in
                for child in 0..<4 {
                    group.addTask {
                        if child.isMultiple(of: 2) { await deepConcurrent(2) } else { await deep(3) }
                        run.note("\(child)")
                    }
                }
            }
        }
        #expect(run.log.all == ["0", "1", "2", "3"])
    }

    @Test func `a task that was switched away and back goes on before its siblings`() {
        let run = TestRun()
        run.start { run in await visitAnActor(in: run) }
        #expect(run.log.all == ["0", "0 again", "1", "1 again", "2", "2 again"])
    }

    @Test func `without task ids the jobs run first in, first out`() {
        let run = TestRun(knowsTasks: false)
        run.start { run in await visitAnActor(in: run) }
        #expect(run.log.all == ["0", "1", "2", "0 again", "1 again", "2 again"])
        #expect(run.isFinished)
    }

    /// The runtime hands a yield over in a job of its own, which belongs to no task.
    @Test func `a task that yields lets its siblings go first`() {
        let run = TestRun()
        run.start { run in
            await withTaskGroup(of: Void.self) { group in
                for child in 0..<3 {
                    group.addTask {
                        run.note("\(child)")
                        await Task.yield()
                        run.note("\(child) again")
                    }
                }
            }
        }
        #expect(run.log.all == ["0", "1", "2", "0 again", "1 again", "2 again"])
    }

    @Test func `priorities change nothing`() {
        let run = TestRun()
        run.start { run in
            await withTaskGroup(of: Void.self) { group in
                for (child, priority) in [TaskPriority.low, .high, .background, .medium].enumerated() {
                    group.addTask(priority: priority) {
                        await Task.yield()
                        run.note("\(child)")
                    }
                }
            }
        }
        #expect(run.log.all == ["0", "1", "2", "3"])
    }

    @Test func `tasks go on in the order in which a drain wakes them`() {
        let run = TestRun()
        run.start { run in
            await withThrowingTaskGroup(of: Void.self) { group in
                for name in ["a", "b", "c"] {
                    group.addTask {
                        try await run.wait(name)
                        run.note(name)
                    }
                }
            }
        }
        #expect(run.waiting == ["a", "b", "c"])
        run.wake("c", "a", "b")
        #expect(run.log.all == ["c", "a", "b"])
    }

    @Test func `ten thousand children run to their end`() {
        let run = TestRun()
        run.start { run in
            let sum = await withTaskGroup(of: Int.self, returning: Int.self) { group in
                for child in 0..<10_000 {
                    group.addTask {
                        await Task.yield()
                        return child
                    }
                }
                return await group.reduce(0, +)
            }
            run.note("\(sum)")
        }
        #expect(run.log.all == ["49995000"])
    }
}

private func deep(_ levels: Int) async {
    if levels > 0 { await deep(levels - 1) }
}

@concurrent private func deepConcurrent(_ levels: Int) async {
    if levels > 0 { await deepConcurrent(levels - 1) }
}

/// Each of three children leaves the run for an actor and comes back as a new job, all within one job of the run.
private func visitAnActor(in run: TestRun) async {
    let actor = InlineActor()
    await withTaskGroup(of: Void.self) { group in
        for child in 0..<3 {
            group.addTask {
                run.note("\(child)")
                await actor.visit()
                run.note("\(child) again")
            }
        }
    }
}

private actor InlineActor {
    private let executor = InlineExecutor()
    private var visits = 0
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    func visit() { visits += 1 }
}

/// Runs a job as soon as it gets it.
private final class InlineExecutor: SerialExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        UnownedJob(job).runSynchronously(on: asUnownedSerialExecutor())
    }
}
