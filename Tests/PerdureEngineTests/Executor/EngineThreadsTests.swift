import Dispatch
import Foundation
import Synchronization
import Testing

@testable import PerdureEngine

@Suite struct EngineThreadsTests {
    @Test func `one thread starts work in the order it was submitted`() async {
        let threads = EngineThreads(count: 1)
        let log = Log()
        await withCheckedContinuation { continuation in
            for item in 0..<5 { threads.submit { log.add("\(item)") } }
            threads.submit { continuation.resume() }
        }
        #expect(log.all == ["0", "1", "2", "3", "4"])
        await threads.stop()
    }

    @Test func `two threads work side by side`() async {
        let threads = EngineThreads(count: 2)
        let first = DispatchSemaphore(value: 0)
        let second = DispatchSemaphore(value: 0)
        // Each waits for the other: with one thread this would never end.
        await withCheckedContinuation { continuation in
            threads.submit {
                first.signal()
                second.wait()
                continuation.resume()
            }
            threads.submit {
                first.wait()
                second.signal()
            }
        }
        await threads.stop()
    }

    @Test func `stopping waits for the current item and drops the others`() async {
        let threads = EngineThreads(count: 1)
        let log = Log()
        let gate = DispatchSemaphore(value: 0)
        await withCheckedContinuation { started in
            threads.submit {
                started.resume()
                gate.wait()
                log.add("current")
            }
        }
        threads.submit { log.add("waiting") }
        async let stopped: Void = threads.stop()
        while threads.submit({ log.add("late") }) { await Task.yield() }
        gate.signal()
        await stopped
        #expect(log.all == ["current"])
        #expect(!threads.submit {})
        await threads.stop()
    }

    @Test func `stopping can block instead`() {
        let threads = EngineThreads(count: 3)
        threads.stop()
        #expect(!threads.submit {})
    }

    @Test func `a pool that is dropped ends its threads and drops what waits`() async {
        let gate = DispatchSemaphore(value: 0)
        let log = Log()
        await withCheckedContinuation { continuation in
            let threads = EngineThreads(count: 1)
            let token = Token { continuation.resume() }
            threads.submit { gate.wait() }
            threads.submit {
                log.add("ran")
                token.keepAlive()
            }
        }
        gate.signal()
        #expect(log.all == [])
    }

    @Test func `work that recurses deeply has the stack for it`() async {
        let threads = EngineThreads(count: 1)
        let depth = await withCheckedContinuation { continuation in
            threads.submit { continuation.resume(returning: descend(bytes: 3 << 20)) }
        }
        #expect(depth >= 3 << 20)
        await threads.stop()
    }

    @Test func `what is submitted between two items while every thread rests is started on the same thread`() async {
        let submitter = Mutex<EngineThreads?>(nil), log = Log(), done = DispatchSemaphore(value: 0)
        let threads = EngineThreads(count: 2) { isIdle in
            guard isIdle, let threads = submitter.withLock({ $0.take() }) else { return }
            let own = Thread.current.name
            threads.submit {
                log.add(Thread.current.name == own ? "same" : "other")
                done.signal()
            }
        }
        submitter.withLock { $0 = threads }
        await withCheckedContinuation { continuation in
            threads.submit {}
            Thread.detachNewThread {
                done.wait()
                continuation.resume()
            }
        }
        #expect(log.all == ["same"])
        await threads.stop()
    }

    @Test func `a pool of one thread is never idle between two items`() async {
        let log = Log()
        let threads = EngineThreads(count: 1) { isIdle in log.add("\(isIdle)") }
        await withCheckedContinuation { continuation in
            threads.submit {}
            threads.submit { continuation.resume() }
        }
        await threads.stop()
        #expect(log.all == ["false", "false"])
    }

    @Test func `stopping does not wait for a thread that is lent, and nothing of the pool runs on it when it comes back`() async {
        let log = Log(), held = DispatchSemaphore(value: 0), (lent, isLent) = AsyncStream<Void>.makeStream()
        let (ends, end) = AsyncStream<Void>.makeStream()
        func pool() -> EngineThreads {
            let token = Token { end.yield() }
            return EngineThreads(count: 1) { _ in
                log.add("between")
                token.keepAlive()
            } guest: {
                return {
                    isLent.yield()
                    held.wait()
                    log.add("back")
                }
            }
        }
        var threads: EngineThreads? = pool()
        threads?.submit { log.add("item") }
        for await _ in lent { break }
        await threads?.stop()
        #expect(log.all == ["item"])
        held.signal()
        threads = nil
        // The thread has ended: nothing holds what the pool was made with.
        for await _ in ends { break }
        #expect(log.all == ["item", "back"])
    }

    @Test func `a thread that was lent and is back is waited for again`() async {
        let log = Log(), gate = DispatchSemaphore(value: 0), isLent = Atomic(false)
        let threads = EngineThreads(count: 1) { _ in
            log.add("between")
        } guest: {
            if isLent.exchange(true, ordering: .relaxed) { return nil }
            return { log.add("lent") }
        }
        await withCheckedContinuation { started in
            threads.submit {}
            threads.submit {
                started.resume()
                gate.wait()
                log.add("item")
            }
        }
        async let stopped: Void = threads.stop()
        while threads.submit({}) { await Task.yield() }
        gate.signal()
        await stopped
        #expect(log.all == ["lent", "between", "item", "between"])
    }

    @Test func `threads carry the name of the pool`() async {
        let threads = EngineThreads(count: 1, name: "runs")
        let name = await withCheckedContinuation { continuation in
            threads.submit { continuation.resume(returning: Thread.current.name) }
        }
        #expect(name == "runs-1")
        await threads.stop()
    }

    @Test func `runs are drained on the threads of the pool`() async {
        let threads = EngineThreads(count: 2)
        let run = TestRun()
        await withCheckedContinuation { continuation in
            threads.submit {
                run.start { run in
                    run.note("started")
                    try await run.wait("signal")
                    run.note("woken")
                }
                threads.submit {
                    run.wake("signal")
                    continuation.resume()
                }
            }
        }
        #expect(run.log.all == ["started", "woken"])
        #expect(!run.executor.takeForeignEnqueue())
        await threads.stop()
    }
}

private final class Token: Sendable {
    private let onEnd: @Sendable () -> Void
    init(onEnd: @escaping @Sendable () -> Void) { self.onEnd = onEnd }
    func keepAlive() {}
    deinit { onEnd() }
}

/// Goes down until this much of the stack is in use.
private func descend(bytes: Int, from top: UInt? = nil) -> Int {
    withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) { buffer in
        let here = UInt(bitPattern: buffer.baseAddress)
        let used = Int((top ?? here) - here)
        return used >= bytes ? used : descend(bytes: bytes, from: top ?? here)
    }
}
