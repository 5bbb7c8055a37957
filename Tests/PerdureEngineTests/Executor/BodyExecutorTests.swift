import Foundation
import Synchronization
import Testing

@testable import PerdureEngine

@Suite struct BodyExecutorTests {
    /// Runs the body on a thread like one of the engine's, and waits for the tasks that it gives. Until they are over the thread stays, so
    /// that none of the pool's can be taken for it.
    private func onThread(_ body: @escaping @Sendable () -> [Task<Void, Never>]) async {
        let areOver = DispatchSemaphore(value: 0)
        let tasks = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(returning: body())
                areOver.wait()
            }
        }
        for task in tasks { await task.value }
        areOver.signal()
    }

    private static func place(_ thread: UInt) -> String { ThreadIdentity.current == thread ? "here" : "elsewhere" }

    @Test func `a body begins where it was started, once that thread is done, and goes on elsewhere`() async {
        // A yield may be over before it has begun to wait; this wait ends when the thread is back.
        let executor = BodyExecutor(lends: true), log = Log(), wait = Wait()
        await onThread {
            let thread = ThreadIdentity.current
            let task = executor.start {
                log.add(Self.place(thread))
                await wait.untilResumed()
                log.add(Self.place(thread))
            }
            #expect(log.all.isEmpty)
            #expect(executor.hasKept)
            executor.runKept()
            #expect(log.all == ["here"])
            wait.resume()
            return [task]
        }
        #expect(log.all == ["here", "elsewhere"])
    }

    @Test func `a second body does not wait for the one that is kept`() async {
        let executor = BodyExecutor(lends: true), log = Log()
        await onThread {
            let thread = ThreadIdentity.current
            let ended = DispatchSemaphore(value: 0)
            let kept = executor.start { log.add("kept \(Self.place(thread))") }
            let other = executor.start {
                log.add("other \(Self.place(thread))")
                ended.signal()
            }
            ended.wait()
            executor.runKept()
            return [kept, other]
        }
        #expect(log.all == ["other elsewhere", "kept here"])
    }

    @Test func `what a body starts begins elsewhere`() async {
        let executor = BodyExecutor(lends: true), log = Log()
        await onThread {
            let thread = ThreadIdentity.current
            let task = executor.start {
                await withTaskGroup { group in group.addTask { log.add(Self.place(thread)) } }
            }
            executor.runKept()
            return [task]
        }
        #expect(log.all == ["elsewhere"])
    }

    @Test func `what is kept for one thread is not begun on another`() async {
        let executor = BodyExecutor(lends: true), log = Log()
        await onThread {
            let thread = ThreadIdentity.current
            let task = executor.start { log.add(Self.place(thread)) }
            let looked = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                #expect(!executor.hasKept)
                executor.runKept()
                looked.signal()
            }
            looked.wait()
            executor.runKept()
            return [task]
        }
        #expect(log.all == ["here"])
    }

    @Test func `after a body that held its thread up none begins there for a while`() async {
        let time = Mutex<UInt64>(0), log = Log()
        let executor = BodyExecutor(lends: true) { time.withLock { $0 } }
        await onThread {
            let thread = ThreadIdentity.current
            let slow = executor.start {
                log.add(Self.place(thread))
                time.withLock { $0 += 1_000_001 }
            }
            executor.runKept()
            let next = executor.start { log.add(Self.place(thread)) }
            return [slow, next]
        }
        await onThread {
            let thread = ThreadIdentity.current
            time.withLock { $0 += 10_000_000_000 }
            let task = executor.start { log.add(Self.place(thread)) }
            executor.runKept()
            return [task]
        }
        #expect(log.all == ["here", "elsewhere", "here"])
    }

    @Test func `without threads to lend every body begins elsewhere`() async {
        let executor = BodyExecutor(lends: false), log = Log()
        await onThread {
            let thread = ThreadIdentity.current
            return [executor.start { log.add(Self.place(thread)) }]
        }
        #expect(log.all == ["elsewhere"])
    }
}
