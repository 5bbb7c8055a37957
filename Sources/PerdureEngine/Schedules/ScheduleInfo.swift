public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore

/// A schedule as it stands.
public struct ScheduleInfo: Sendable, Hashable {
    /// A run that a schedule has started.
    public struct StartedRun: Sendable, Hashable {
        /// The run.
        public let run: RunID
        /// The due time that it was started for.
        public let due: Date
    }

    /// Its name in its namespace.
    public let id: String
    /// The tenant it belongs to.
    public let namespace: String
    /// What it starts, and when.
    public let schedule: Schedule
    /// The next due time that is not decided; nil while it is paused, and if none comes any more.
    public let nextDue: Date?
    /// The run that was started last.
    public let lastRun: StartedRun?
    /// Runs of this schedule that were open when an engine looked last. Of a schedule that allows them to overlap only the latest.
    public let openRuns: [StartedRun]
    /// Due times that wait for the end of a run, oldest first.
    public let waiting: [Date]
    /// Whether due times of the past are still to be started, as a backfill wants it.
    public let isBackfilling: Bool
    /// How many runs it has started.
    public let started: Int
    /// How many due times were passed over because of a run that was open.
    public let skipped: Int
    /// How many due times came while nobody could act on them, for longer than the catch-up window.
    public let missed: Int
    /// Since when it is paused, if it is.
    public let pausedAt: Date?
    /// Why it is paused.
    public let pauseNote: String?
    /// Who paused it.
    public let pausedBy: Principal?
    /// Who made it.
    public let createdBy: Principal
    /// When it was made.
    public let createdAt: Date
    /// Who changed last what it starts or when.
    public let changedBy: Principal
    /// When that was.
    public let changedAt: Date
    /// Why it can start nothing at present, if so.
    public let trouble: String?

    init(_ key: ScheduleKey, _ document: ScheduleDocument) {
        id = key.id
        namespace = key.namespace
        schedule = document.schedule
        nextDue = document.pause == nil ? document.schedule.spec.next(after: document.cursor)?.date : nil
        lastRun = document.last.map { StartedRun(run: $0.run, due: $0.due.date) }
        openRuns = document.open.map { StartedRun(run: $0.run, due: $0.due.date) }
        waiting = document.waiting.map(\.date)
        isBackfilling = !document.backfills.isEmpty
        started = Int(clamping: document.counts.started)
        skipped = Int(clamping: document.counts.skipped)
        missed = Int(clamping: document.counts.missed)
        pausedAt = document.pause?.act.at.date
        pauseNote = document.pause?.note
        pausedBy = document.pause?.act.by
        createdBy = document.created.by
        createdAt = document.created.at.date
        changedBy = document.changed.by
        changedAt = document.changed.at.date
        trouble = document.trouble
    }
}
