import Foundation
import HeapModule
import Perdure
package import PerdureHistory
import Synchronization

/// All the times at which something is due, in one heap, watched by one thread.
package final class Scheduler: Sendable {
    private struct Entry: Comparable {
        let at: Timestamp
        let order: UInt64
        let action: @Sendable () -> Void
        static func < (left: Entry, right: Entry) -> Bool { (left.at, left.order) < (right.at, right.order) }
        static func == (left: Entry, right: Entry) -> Bool { left.order == right.order }
    }

    private struct State {
        var entries = Heap<Entry>()
        var count: UInt64 = 0
        var isStopped = false
    }

    private let clock: any EngineClock
    private let state = Mutex(State())
    private let bell = NSCondition()
    private let hasEnded = DispatchGroup()

    package init(clock: any EngineClock) {
        self.clock = clock
        clock.onChange { [weak self] in self?.ring() }
    }

    package func start() {
        hasEnded.enter()
        let thread = Thread { [self] in
            Thread.current.name = "perdure-timers"
            loop()
            hasEnded.leave()
        }
        thread.start()
    }

    package func stop() async {
        state.withLock { $0.isStopped = true }
        ring()
        await withCheckedContinuation { continuation in hasEnded.notify(queue: .global()) { continuation.resume() } }
    }

    /// Calls the action on the scheduler's thread at that time or soon after. It must not block.
    package func schedule(at time: Timestamp, _ action: @escaping @Sendable () -> Void) {
        let isEarliest = state.withLock { state in
            let isEarliest = state.entries.min.map { time < $0.at } ?? true
            state.count += 1
            state.entries.insert(Entry(at: time, order: state.count, action: action))
            return isEarliest
        }
        if isEarliest { ring() }
    }

    private func ring() {
        bell.lock()
        bell.signal()
        bell.unlock()
    }

    private func loop() {
        while true {
            var due: [Entry] = []
            bell.lock()
            let (next, isStopped) = state.withLock { state -> (Timestamp?, Bool) in
                let now = clock.now()
                while let first = state.entries.min, first.at <= now { due.append(state.entries.removeMin()) }
                return (state.entries.min?.at, state.isStopped)
            }
            if due.isEmpty, !isStopped {
                // At most an hour, in case the system's clock is set.
                let wait = next.map { min(3_600, Double($0.duration(since: clock.now()).microseconds) / 1_000_000) } ?? 3_600
                _ = bell.wait(until: Date(timeIntervalSinceNow: max(wait, 0)))
            }
            bell.unlock()
            if isStopped { return }
            for entry in due { entry.action() }
        }
    }
}
