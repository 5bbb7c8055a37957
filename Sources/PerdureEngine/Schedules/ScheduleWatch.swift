import Perdure
import PerdureStore
import Synchronization

/// What an engine keeps in mind of schedules. All that counts is in the store.
final class ScheduleWatch: Sendable {
    private struct State {
        /// Runs whose end lets a schedule start something, and the same by schedule.
        var awaited: [RunID: ScheduleKey] = [:]
        var runs: [ScheduleKey: [RunID]] = [:]
        var ended: Set<ScheduleKey> = []
        /// What could not be followed, and was said so, by its version.
        var told: [ScheduleKey: Int64] = [:]
    }

    let bell = Bell()
    let alarm: Scheduler.Alarm
    private let pace = Pace(.milliseconds(100))
    private let state = Mutex(State())

    init(alarm: Scheduler.Alarm) { self.alarm = alarm }

    /// Has somebody look because the store has changed.
    ///
    /// - Parameter isOften: Whether that is so all the time, for other reasons than schedules: then it is looked now and then.
    func ring(isOften: Bool, _ clock: any EngineClock, _ scheduler: Scheduler) {
        if !isOften || pace.allows(clock, orRings: bell, by: scheduler) { bell.ring() }
    }

    func note(_ runs: [RunID], for key: ScheduleKey) {
        state.withLock { state in
            for run in state.runs.removeValue(forKey: key) ?? [] { state.awaited[run] = nil }
            if runs.isEmpty { return }
            state.runs[key] = runs
            for run in runs { state.awaited[run] = key }
        }
    }

    /// A run of this engine has closed.
    func hasEnded(_ run: RunID) {
        let isAwaited = state.withLock { state in
            guard let key = state.awaited.removeValue(forKey: run) else { return false }
            state.ended.insert(key)
            return true
        }
        if isAwaited { bell.ring() }
    }

    func takeEnded() -> Set<ScheduleKey> {
        state.withLock { state in
            defer { state.ended = [] }
            return state.ended
        }
    }

    /// Returns whether it was not said before.
    func tell(_ row: ScheduleRow) -> Bool { state.withLock { $0.told.updateValue(row.version, forKey: row.key) != row.version } }
}
