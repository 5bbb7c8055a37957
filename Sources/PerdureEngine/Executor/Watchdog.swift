import Foundation
import Synchronization

/// Notices runs whose code does not come to rest: an endless loop, a blocking call, a computation that belongs in a step.
///
/// It cannot interrupt them; it names them. It has no clock and no thread of its own: whoever owns it calls
/// ``check(now:)`` from time to time, not on a thread that drains.
package final class Watchdog: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package struct Report: Sendable, Equatable {
        /// What was passed to ``watch(_:_:)``, the id of a run.
        package let label: String
        /// The name of the thread, as debuggers show it.
        package let thread: String
        package let duration: Duration
    }

    private struct Watch {
        let id: UInt64
        let label: String
        let thread: Runner
        let start: Instant
        var isReported = false
    }

    /// The thread of a watch. Its name is asked for only if there is something to report, since that is a call of the system; until the
    /// watch ends, the thread is alive.
    ///
    /// `@unchecked` because nothing but the name is read, which the system answers to every thread.
    private struct Runner: @unchecked Sendable {
        let thread: Thread
        var name: String { thread.name ?? "" }
    }

    private struct State {
        var watches: [Watch] = []
        var lastID: UInt64 = 0
    }

    private let limit: Duration
    private let now: @Sendable () -> Instant
    private let onOverrun: @Sendable (Report) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - limit: How long code may run before it is reported.
    ///   - now: Asked when a watch starts.
    ///   - onOverrun: Called once for each watch that takes longer, on the thread that calls ``check(now:)``.
    package init(
        limit: Duration, now: @escaping @Sendable () -> Instant, onOverrun: @escaping @Sendable (Report) -> Void
    ) {
        self.limit = limit
        self.now = now
        self.onOverrun = onOverrun
    }

    /// Runs `body` as `label` on this thread.
    package func watch<Value, Failure: Error>(
        _ label: String, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let id = start(label)
        defer { end(id) }
        return try body()
    }

    /// Reports every watch that is longer than the limit by now and was not reported before, the oldest first.
    package func check(now: Instant) {
        let reports = state.withLock { state in
            var reports: [Report] = []
            for index in state.watches.indices where !state.watches[index].isReported {
                let watch = state.watches[index]
                let duration = watch.start.duration(to: now)
                guard duration > limit else { continue }
                state.watches[index].isReported = true
                reports.append(Report(label: watch.label, thread: watch.thread.name, duration: duration))
            }
            return reports
        }
        for report in reports { onOverrun(report) }
    }

    private func start(_ label: String) -> UInt64 {
        let thread = Runner(thread: .current)
        let start = now()
        return state.withLock { state in
            state.lastID += 1
            state.watches.append(Watch(id: state.lastID, label: label, thread: thread, start: start))
            return state.lastID
        }
    }

    private func end(_ id: UInt64) {
        state.withLock { state in state.watches.removeAll { $0.id == id } }
    }
}
