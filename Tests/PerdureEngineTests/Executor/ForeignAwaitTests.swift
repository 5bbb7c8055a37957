import Dispatch
import Testing

@testable import PerdureEngine

/// Waits for something that is not recorded. The engine sees a foreign enqueue, or a run that waits for nothing it knows.
@Suite struct ForeignAwaitTests {
    @Test func `a wait that another thread ends is noticed and the task goes on in the next drain`() async {
        let (run, enqueued) = noticingRun()
        let wait = Wait()
        run.start { run in
            await wait.untilResumed()
            run.note("on")
        }
        #expect(run.isStuck)
        #expect(!run.executor.takeForeignEnqueue())

        await onAnotherThread { wait.resume() }
        #expect(enqueued.all == ["foreign"])
        #expect(run.log.all == [])

        run.executor.drain()
        #expect(run.log.all == ["on"])
        #expect(run.executor.takeForeignEnqueue())
        #expect(!run.executor.takeForeignEnqueue())
        #expect(run.isFinished)
    }

    @Test func `the value of a detached task`() async {
        let (run, enqueued) = noticingRun()
        let gate = Gate()
        run.start { run in
            await Task.detached { await gate.pass() }.value
            run.note("on")
        }
        #expect(run.isStuck)
        gate.open()
        await enqueued.first()
        run.executor.drain()
        #expect(run.log.all == ["on"])
        #expect(run.executor.takeForeignEnqueue())
    }

    @Test func `a sleep leaves the run idle and ends inside of the drain that cancels it`() {
        let run = TestRun()
        run.start { run in
            do { try await Task.sleep(for: .seconds(3600)) } catch { run.note("\(error)") }
        }
        #expect(run.isStuck)
        run.evict()
        #expect(run.log.all == ["CancellationError()"])
        #expect(!run.executor.takeForeignEnqueue())
        #expect(run.isFinished)
    }

    @Test func `an actor that is busy elsewhere`() async {
        let (run, enqueued) = noticingRun()
        let busy = BusyActor()
        let free = DispatchSemaphore(value: 0)
        await withCheckedContinuation { entered in
            Task.detached { await busy.block(entered: entered, until: free) }
        }
        run.start { run in
            await busy.visit()
            run.note("on")
        }
        #expect(run.isStuck)
        free.signal()
        await enqueued.first()
        while !run.isFinished { run.executor.drain(); await Task.yield() }
        #expect(run.log.all == ["on"])
        #expect(run.executor.takeForeignEnqueue())
    }

    @Test func `an actor that is free is not noticed`() {
        let run = TestRun()
        let free = BusyActor()
        run.start { run in
            await free.visit()
            run.note("on")
        }
        #expect(run.log.all == ["on"])
        #expect(!run.executor.takeForeignEnqueue())
        #expect(run.isFinished)
    }

    @Test func `another executor on the way`() async {
        let (run, enqueued) = noticingRun()
        run.start { run in
            await withTaskExecutorPreference(globalConcurrentExecutor) { run.note("there") }
            run.note("on")
        }
        await enqueued.first()
        while !run.isFinished { run.executor.drain(); await Task.yield() }
        #expect(run.log.all == ["there elsewhere", "on"])
        #expect(run.executor.takeForeignEnqueue())
    }

    @Test func `another run that ends the wait`() {
        let run = TestRun()
        let other = TestRun()
        let wait = Wait()
        run.start { _ in await wait.untilResumed() }
        other.start { _ in wait.resume() }
        #expect(run.executor.takeForeignEnqueue())
        #expect(!other.executor.takeForeignEnqueue())
        run.executor.drain()
        #expect(run.isFinished)
    }

    private func noticingRun() -> (TestRun, Notices) {
        let notices = Notices()
        return (TestRun { _ in notices.add("foreign") }, notices)
    }
}

/// A log that can be waited for.
private final class Notices: Sendable {
    private let log = Log()
    private let gate = Gate()
    var all: [String] { log.all }
    func add(_ line: String) {
        log.add(line)
        gate.open()
    }
    func first() async { await gate.pass() }
}

/// Lets through whoever comes once it is open.
private final class Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let feed: AsyncStream<Void>.Continuation
    init() { (stream, feed) = AsyncStream<Void>.makeStream() }
    func open() { feed.finish() }
    func pass() async { for await _ in stream {} }
}

private actor BusyActor {
    private var visits = 0
    func visit() { visits += 1 }
    func block(entered: CheckedContinuation<Void, Never>, until free: DispatchSemaphore) {
        entered.resume()
        free.wait()
    }
}

private func onAnotherThread(_ body: @escaping @Sendable () -> Void) async {
    let threads = EngineThreads(count: 1)
    await withCheckedContinuation { continuation in
        threads.submit {
            body()
            continuation.resume()
        }
    }
    await threads.stop()
}
