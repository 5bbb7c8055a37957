import Synchronization
import Testing

@testable import PerdureEngine

/// The verdict about a call of a context, from everywhere an author can call it.
@Suite struct ContextMisuseTests {
    @Test func `calls from the run are right`() {
        let (run, context) = runAndContext()
        run.start { _ in
            await context.call("root")
            async let bound: Void = context.call("async let")
            await bound
            await withTaskGroup(of: Void.self) { group in group.addTask { await context.call("group") } }
            await concurrently { await context.call("concurrent") }
            await context.scope { await context.call("closure") }
            await (context as any Calling).call("existential")
        }
        #expect(
            run.log.all == [
                "root: nil", "async let: nil", "group: nil", "concurrent: nil", "closure: nil", "existential: nil",
            ])
    }

    @Test func `calls isolated to an actor are on an actor`() {
        let (run, context) = runAndContext()
        let actor = CallingActor()
        run.start { _ in
            await actor.direct(context)
            await actor.helper(context)
            await actor.closure(context)
            await actor.sendableClosure(context)
            await actor.scope(context)
            await actor.existential(context)
        }
        #expect(
            run.log.all == [
                "direct: onAnActor", "helper: onAnActor", "closure: onAnActor", "sendable closure: onAnActor",
                "scope: onAnActor", "existential: onAnActor",
            ])
        #expect(!run.executor.takeForeignEnqueue())
    }

    @Test func `code that an actor starts but that leaves it is of the run`() {
        let (run, context) = runAndContext()
        let actor = CallingActor()
        run.start { _ in
            await actor.concurrent(context)
            await actor.group(context)
            await context.call("after")
        }
        #expect(run.log.all == ["concurrent: nil", "group: nil", "after: nil"])
    }

    @Test func `calls from an unstructured task are outside`() async {
        let (run, context) = runAndContext()
        let task = Mutex<Task<Void, Never>?>(nil)
        run.start { _ in task.withLock { $0 = Task { await context.call("task") } } }
        await task.withLock { $0 }?.value
        #expect(run.log.all == ["task: outsideTheRun"])
        #expect(run.isFinished)
    }

    @Test func `calls from a detached task are outside`() async {
        let (run, context) = runAndContext()
        let task = Mutex<Task<Void, Never>?>(nil)
        run.start { _ in task.withLock { $0 = Task.detached { await context.call("detached") } } }
        await task.withLock { $0 }?.value
        #expect(run.log.all == ["detached: outsideTheRun"])
    }

    @Test(.enabled("an immediate task needs a runtime of Swift 6.2") { hasImmediateTasks })
    func `calls from an immediate task are outside, though they are on the thread of the run`() {
        let (run, context) = runAndContext()
        run.start { run in
            guard #available(macOS 26, *) else { return }
            Task.immediate {
                run.note("immediate")
                await context.call("immediate")
            }
        }
        #expect(run.log.all == ["immediate", "immediate: outsideTheRun"])
    }

    @Test func `calls on another executor are outside`() async {
        let (run, context) = runAndContext()
        run.start { _ in
            await withTaskExecutorPreference(globalConcurrentExecutor) { await context.call("preference") }
        }
        while !run.isFinished { run.executor.drain(); await Task.yield() }
        #expect(run.log.all == ["preference: outsideTheRun"])
    }

    @Test func `calls on the main actor are on an actor`() async {
        let (run, context) = runAndContext()
        run.start { _ in await onMain(context) }
        while !run.isFinished { run.executor.drain(); await Task.yield() }
        #expect(run.log.all == ["main: onAnActor"])
        #expect(run.executor.takeForeignEnqueue())
    }

    @Test func `calls with the context of another run are outside`() {
        let (_, context) = runAndContext()
        let (other, _) = runAndContext()
        other.start { _ in await context.call("other") }
        #expect(context.log.all == ["other: outsideTheRun"])
    }

    @Test func `calls from outside of any task are outside`() {
        let executor = RunExecutor()
        #expect(executor.misuse(isolation: nil) == .outsideTheRun)
        executor.drain { #expect(executor.misuse(isolation: nil) == .outsideTheRun) }
    }

    /// An actor that is woken goes on inside of a job of its own, which is not the job of the task.
    @Test(arguments: [true, false])
    func `a task that comes back from a wait on an actor is still the same task`(knowsTasks: Bool) {
        let run = TestRun(knowsTasks: knowsTasks)
        let actor = CallingActor()
        let ids = Mutex<[UInt64?]>([])
        run.start { run in
            ids.withLock { $0.append(run.executor.currentTaskID) }
            try await actor.wait(run)
            ids.withLock { $0.append(run.executor.currentTaskID) }
        }
        run.wake("on an actor")
        let seen = ids.withLock { $0 }
        #expect(run.isFinished)
        #expect(seen.count == 2)
        #expect(seen.allSatisfy { $0 != nil })
        #expect(seen.first == seen.last)
    }

    private func runAndContext() -> (TestRun, TestContext) {
        let run = TestRun()
        return (run, TestContext(executor: run.executor, log: run.log))
    }
}

private let hasImmediateTasks = if #available(macOS 26, *) { true } else { false }

private protocol Calling: Sendable {
    func call(_ what: String) async
}

/// Its methods are declared the way those of a real context have to be.
private final class TestContext: Calling {
    let executor: RunExecutor
    let log: Log
    init(executor: RunExecutor, log: Log) {
        self.executor = executor
        self.log = log
    }

    func call(_ what: String) async {
        let misuse = executor.misuse(isolation: #isolation)
        log.add("\(what): \(misuse.map { "\($0)" } ?? "nil")")
    }

    func scope(_ body: () async -> Void) async {
        await body()
    }
}

private actor CallingActor {
    func direct(_ context: TestContext) async { await context.call("direct") }
    func existential(_ context: any Calling) async { await context.call("existential") }
    func helper(_ context: TestContext) async { await callForAnyone(context) }
    func scope(_ context: TestContext) async { await context.scope { await context.call("scope") } }
    func concurrent(_ context: TestContext) async { await concurrently { await context.call("concurrent") } }
    func wait(_ run: TestRun) async throws { try await run.wait("on an actor") }

    func closure(_ context: TestContext) async {
        let closure: () async -> Void = { await context.call("closure") }
        await closure()
    }

    func sendableClosure(_ context: TestContext) async {
        let closure: @Sendable () async -> Void = { await context.call("sendable closure") }
        await closure()
    }

    func group(_ context: TestContext) async {
        await withTaskGroup(of: Void.self) { group in group.addTask { await context.call("group") } }
    }
}

private func callForAnyone(_ context: TestContext) async {
    await context.call("helper")
}

@concurrent private func concurrently(_ body: @Sendable () async -> Void) async {
    await body()
}

@MainActor private func onMain(_ context: TestContext) async {
    await context.call("main")
}
