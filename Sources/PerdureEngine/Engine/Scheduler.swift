import Foundation
import HeapModule
import Perdure
package import PerdureHistory
import Synchronization

/// All the times at which something is due, in one heap, watched by one thread; where there are none, the clock is asked to call.
package final class Scheduler: Sendable {
    /// Something that is due at one time or not at all: setting it anew replaces the time before.
    package struct Alarm: Hashable, Sendable { fileprivate let number: UInt64 }

    private struct Entry: Comparable {
        let at: Timestamp
        let order: UInt64
        let alarm: Alarm?
        let action: @Sendable () -> Void
        static func < (left: Entry, right: Entry) -> Bool { (left.at, left.order) < (right.at, right.order) }
        static func == (left: Entry, right: Entry) -> Bool { left.order == right.order }
    }

    private struct State {
        var entries = Heap<Entry>()
        var count: UInt64 = 0
        var isStarted = false
        var isStopped = false
        /// Where there is no thread: when the clock will call.
        var calledAt: Timestamp?
        var lastAlarm: UInt64 = 0
        /// For each alarm that is set, its one entry that counts.
        var alarms: [Alarm: UInt64] = [:]
        /// How many entries belong to no alarm.
        var others = 0

        func counts(_ entry: Entry) -> Bool { entry.alarm.map { alarms[$0] == entry.order } ?? true }

        mutating func insert(at time: Timestamp, _ alarm: Alarm?, _ action: @escaping @Sendable () -> Void) -> Bool {
            dropStale()
            let isEarliest = entries.min.map { time < $0.at } ?? true
            count += 1
            if let alarm { alarms[alarm] = count } else { others += 1 }
            entries.insert(Entry(at: time, order: count, alarm: alarm, action: action))
            return isEarliest
        }

        /// Entries of alarms that were moved or switched off may be due far in the future.
        mutating func dropStale() {
            if entries.count > 2 * (alarms.count + others) + 64 { entries = Heap(entries.unordered.filter(counts)) }
        }

        mutating func takeDue(by now: Timestamp) -> [Entry] {
            var due: [Entry] = []
            while let first = takeFirstDue(by: now) { due.append(first) }
            return due
        }

        mutating func takeFirstDue(by now: Timestamp) -> Entry? {
            while let first = entries.min, first.at <= now {
                entries.removeMin()
                guard counts(first) else { continue }
                if let alarm = first.alarm { alarms[alarm] = nil } else { others -= 1 }
                return first
            }
            return nil
        }

        /// When the clock has to be asked to call, if that is earlier than it does anyway.
        mutating func nextCall() -> Timestamp? {
            guard isStarted, !isStopped, let next = entries.min?.at, calledAt.map({ next < $0 }) ?? true else { return nil }
            calledAt = next
            return next
        }
    }

    private let clock: any EngineClock
    private let runtime: EngineRuntime
    private let state = Mutex(State())
    private let bell = NSCondition()
    private let hasEnded = DispatchGroup()

    package init(clock: any EngineClock, runtime: EngineRuntime = .threads) {
        self.clock = clock
        self.runtime = runtime
        clock.onChange { [weak self] in
            // What was asked for before may be earlier or later than meant.
            self?.state.withLock { $0.calledAt = nil }
            self?.ring()
        }
    }

    package func start() {
        state.withLock { $0.isStarted = true }
        guard runtime.hasThreads else { return ring() }
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
        guard runtime.hasThreads else { return }
        ring()
        await withCheckedContinuation { continuation in hasEnded.notify(queue: .global()) { continuation.resume() } }
    }

    /// Calls the action on the scheduler's thread at that time or soon after. It must not block.
    package func schedule(at time: Timestamp, _ action: @escaping @Sendable () -> Void) {
        if state.withLock({ $0.insert(at: time, nil, action) }) { ring() }
    }

    package func makeAlarm() -> Alarm {
        state.withLock { state in
            state.lastAlarm += 1
            return Alarm(number: state.lastAlarm)
        }
    }

    /// Like `schedule`, in place of what the alarm was set to before. Takes only locks under which nothing else is called.
    package func set(_ alarm: Alarm, at time: Timestamp, _ action: @escaping @Sendable () -> Void) {
        if state.withLock({ $0.insert(at: time, alarm, action) }) { ring() }
    }

    package func switchOff(_ alarm: Alarm) {
        state.withLock { state in
            if state.alarms.removeValue(forKey: alarm) != nil { state.dropStale() }
        }
    }

    /// When the alarm is going to ring, if it is set.
    package func time(of alarm: Alarm) -> Timestamp? {
        state.withLock { state in
            let order = state.alarms[alarm]
            return state.entries.unordered.first { $0.order == order }?.at
        }
    }

    /// How many times are kept in mind, those of alarms that were moved or switched off included.
    package var entryCount: Int { state.withLock { $0.entries.count } }

    /// Calls the action when so much time has passed, whatever the clock is set to meanwhile; not after `stop`. It must not block.
    package func schedule(after duration: Duration, _ action: @escaping @Sendable () -> Void) {
        clock.after(duration, unlessStopped(action))
    }

    /// The same for housekeeping, which comes again and again.
    package func schedule(afterRest duration: Duration, _ action: @escaping @Sendable () -> Void) {
        clock.afterRest(duration, unlessStopped(action))
    }

    private func unlessStopped(_ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        { [weak self] in
            guard let self, !state.withLock({ $0.isStopped }) else { return }
            action()
        }
    }

    private func ring() {
        guard runtime.hasThreads else { return askForCall() }
        bell.lock()
        bell.signal()
        bell.unlock()
    }

    // MARK: Without a thread

    private func askForCall() {
        guard let next = state.withLock({ $0.nextCall() }) else { return }
        clock.after(max(.zero, next.duration(since: clock.now()))) { [weak self] in self?.isCalled() }
    }

    /// One action at a time: others may have something to do in between, as they would beside a thread.
    private func isCalled() {
        let due = state.withLock { state -> Entry? in
            if state.isStopped { return nil }
            state.calledAt = nil
            return state.takeFirstDue(by: clock.now())
        }
        askForCall()
        due?.action()
    }

    // MARK: The thread

    private func loop() {
        while true {
            var due: [Entry] = []
            bell.lock()
            let (next, isStopped) = state.withLock { state -> (Timestamp?, Bool) in
                due = state.takeDue(by: clock.now())
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
