public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore

// Schedules, from any process. Whatever a call changes is one commit on the version of the schedule that it has seen; when others change it
// at the same time it looks again.
extension Client {
    /// Makes a schedule, or finds that it is there just like that: to be called at each start of a program.
    ///
    /// The first due time is the next one after this call.
    ///
    /// - Parameters:
    ///   - id: Its name: 1 to 128 letters, digits, `-`, `_` and `.`.
    ///   - namespace: The tenant whose runs it starts. By default the one that the client is confined to, or `default`.
    ///   - sender: Recorded as who made it. Whoever has set at last what a schedule starts may not approve actions of the runs that time
    ///     starts.
    /// - Returns: Whether this call made it.
    /// - Throws: `PerdureError` with `name_invalid`, `label_invalid`, `input_undecodable`, `payload_too_large`, `schedule_invalid`,
    ///   `queue_unknown`, or
    ///   `schedule_conflict` if there is one of this name that says something else: use `changeSchedule`.
    @discardableResult
    public func schedule(
        _ id: String, _ schedule: Schedule, in namespace: String? = nil, by sender: Principal
    ) async throws -> Bool {
        let key = try key(id, namespace), wanted = try schedule.checked()
        try requireOwn(key.namespace)
        try await requireQueue(wanted.queue, in: key.namespace)
        return try await edit(key) { found, now in
            if let found {
                guard found.schedule == wanted else {
                    throw PerdureError(
                        .scheduleConflict,
                        "There is a schedule '\(id)' that says something else. Change it on purpose, or use another name.",
                        metadata: [("schedule", id)])
                }
                return .nothing(false)
            }
            var document = ScheduleDocument(wanted, from: now, by: .init(by: sender, at: now))
            document.due = wanted.spec.next(after: now).map { wanted.fireTime(of: $0, key) }
            return .put(document, [], true)
        }
    }

    /// Changes what a schedule starts and when, from now on. Due times that wait keep their turn, with what is started now; due times
    /// that nobody has acted on yet count as missed. Another workflow or rule ends backfills.
    ///
    /// - Throws: `PerdureError` as `schedule` does, with `schedule_unknown` in place of `schedule_conflict`.
    public func changeSchedule(
        _ id: String, to schedule: Schedule, in namespace: String? = nil, by sender: Principal
    ) async throws {
        let key = try key(id, namespace), wanted = try schedule.checked()
        try await requireQueue(wanted.queue, in: key.namespace)
        try await editKnown(key) { document, now in
            if document.schedule == wanted { return .nothing(()) }
            document.counts.missed +=
                document.pause == nil
                ? document.schedule.spec.count(after: document.cursor, before: now, atMost: 20_000).count : 0
            if document.schedule.workflow != wanted.workflow { document.lastVersion = nil }
            // They were asked for by the rule that was.
            if document.schedule.workflow != wanted.workflow || document.schedule.spec != wanted.spec { document.backfills = [] }
            document.schedule = wanted
            document.cursor = now
            document.changed = .init(by: sender, at: now)
            document.trouble = nil
            return .put(document.rescheduled(key, now), [], ())
        }
    }

    /// Removes a schedule. Its runs go on; what waits does not start.
    ///
    /// - Throws: `PerdureError` with `schedule_unknown`.
    public func removeSchedule(_ id: String, in namespace: String? = nil) async throws {
        try await editKnown(try key(id, namespace)) { _, _ in .remove(()) }
    }

    /// Has a schedule start nothing until it is resumed. Runs that are open go on. Paused again, it keeps the first note.
    ///
    /// - Parameter note: Why; shown with the schedule. At most 1,000 bytes.
    /// - Throws: `PerdureError` with `schedule_unknown` or `schedule_invalid` (the note).
    public func pauseSchedule(
        _ id: String, note: String, in namespace: String? = nil, by sender: Principal
    ) async throws {
        guard note.utf8.count <= 1_000, !note.utf8.contains(0) else {
            throw PerdureError(.scheduleInvalid, "The note on a pause may have 1,000 bytes at most, and no NUL.")
        }
        let key = try key(id, namespace)
        try await editKnown(key) { document, now in
            if document.pause != nil { return .nothing(()) }
            document.pause = .init(note: note, act: .init(by: sender, at: now))
            return .put(document.rescheduled(key, now), [], ())
        }
    }

    /// Ends a pause. Due times that came during it are passed over; `backfill` starts their runs.
    ///
    /// - Throws: `PerdureError` with `schedule_unknown`.
    public func resumeSchedule(_ id: String, in namespace: String? = nil, by sender: Principal) async throws {
        let key = try key(id, namespace)
        try await editKnown(key) { document, now in
            if document.pause == nil { return .nothing(()) }
            document.pause = nil
            document.cursor = max(document.cursor, now)
            return .put(document.rescheduled(key, now), [], ())
        }
    }

    /// Starts a run of a schedule at once, beside its due times, also while it is paused.
    ///
    /// - Parameter overlapping: Whether it may start while another run of the schedule is open, although the schedule does not allow that.
    /// - Returns: The run, which was started by `sender`.
    /// - Throws: `PerdureError` with `schedule_unknown`, `schedule_busy`, `workflow_unknown` if no living node hosts the workflow and no
    ///   version is named, `queue_unknown`, or `quota_exceeded`. If its `mayHaveHappened` is true it is not known whether the run was
    ///   started.
    @discardableResult
    public func triggerSchedule(
        _ id: String, overlapping: Bool = false, in namespace: String? = nil, by sender: Principal
    ) async throws -> RunID {
        let key = try key(id, namespace)
        let hosted = try await guarded { try await store.livingNodes() }.flatMap(\.hosted)
        return try await editKnown(key) { document, now in
            guard let version = document.version(hosted: hosted) else {
                throw PerdureError(
                    .workflowUnknown,
                    "No living node hosts workflow '\(document.schedule.workflow)', and schedule '\(id)' names no version.")
            }
            var turn = ScheduleTurn(document, key: key, now: now)
            turn.closed = try await closed(document.open)
            let busy = document.open.first { !turn.closed.contains($0.run) }
            if let busy, !overlapping, document.schedule.overlap != .allow {
                throw PerdureError(
                    .scheduleBusy,
                    "Run \(busy.run) of schedule '\(id)' is still open. Wait for its end, or say that they may overlap.",
                    metadata: [("run", busy.run.description)])
            }
            turn.trigger(by: sender, as: RunID(milliseconds: now.microseconds / 1_000, random: (random(), random())))
            guard let start = turn.starts.first else {
                throw PerdureError(.storeUnavailable, "The schedule could not be triggered.")
            }
            turn.document.lastVersion = version
            return .put(turn.document, [newRun(start, turn.document, version, key)], start.run)
        }
    }

    /// Has runs started for due times of the past that have none.
    ///
    /// Each due time starts one run, also when it is filled twice; one that has started a run already starts none.
    ///
    /// - Parameters:
    ///   - from: The first moment, itself included.
    ///   - to: The last moment, itself included; what lies behind now is left to the schedule. At most 10,000 due times.
    ///   - overlapping: Whether the runs may be open at the same time. Otherwise each starts when no run of the schedule is open;
    ///     due times that come meanwhile find an open run.
    /// - Throws: `PerdureError` with `schedule_unknown`, or `schedule_invalid` if there are too many due times or backfills.
    public func backfillSchedule(
        _ id: String, from: Date, to: Date, overlapping: Bool = false, in namespace: String? = nil, by sender: Principal
    ) async throws {
        let key = try key(id, namespace)
        try await editKnown(key) { document, now in
            let end = min(Timestamp(to), now)
            let start = Timestamp(from) - .microseconds(1)
            guard document.schedule.spec.count(after: start, before: end + .microseconds(1), atMost: 10_001).count <= 10_000
            else {
                throw PerdureError(
                    .scheduleInvalid, "There are more than 10,000 due times from \(from) to \(to); fill them in parts.")
            }
            let backfill = ScheduleDocument.Backfill(cursor: start, end: end, overlaps: overlapping, by: sender)
            if start >= end || document.backfills.contains(backfill) { return .nothing(()) }
            guard document.backfills.count < 10 else {
                throw PerdureError(.scheduleInvalid, "Schedule '\(id)' has ten backfills to do already.")
            }
            document.backfills.append(backfill)
            return .put(document.rescheduled(key, now), [], ())
        }
    }

    /// What a backfill would do: the due times from a moment to another, each with the run that it has already.
    ///
    /// - Throws: As `backfillSchedule`.
    public func dueTimes(
        ofSchedule id: String, from: Date, to: Date, in namespace: String? = nil
    ) async throws -> [(due: Date, run: RunID?)] {
        let key = try key(id, namespace)
        let schedule = try await document(key).schedule
        var times: [(due: Date, run: RunID?)] = [], last = Timestamp(from) - .microseconds(1)
        while let due = schedule.spec.next(after: last), due <= Timestamp(to) {
            guard times.count < 10_000 else {
                throw PerdureError(
                    .scheduleInvalid, "There are more than 10,000 due times from \(from) to \(to); look at a part.")
            }
            let run = try await guarded {
                try await store.run(namespace: key.namespace, workflow: schedule.workflow, key: key.workflowKey(of: due))
            }
            times.append((due.date, run?.id))
            last = due
        }
        return times
    }

    // MARK: Looking

    /// A schedule as it stands.
    ///
    /// - Throws: `PerdureError` with `schedule_unknown`.
    public func schedule(_ id: String, in namespace: String? = nil) async throws -> ScheduleInfo {
        let key = try key(id, namespace)
        return ScheduleInfo(key, try await document(key))
    }

    /// The schedules of a namespace, or of all, by name. One that this release cannot read is left out.
    ///
    /// - Parameter name: The namespace and id of the last one of the page before.
    /// - Throws: `PerdureError` with the store's code.
    public func schedules(
        in namespace: String? = nil, after name: (namespace: String, id: String)? = nil, limit: Int = 100
    ) async throws -> [ScheduleInfo] {
        try await schedulePage(in: namespace, after: name, limit: limit).schedules
    }

    /// The same, with the name of the last row of a page that may not be the last one, also if that row cannot be read.
    package func schedulePage(
        in namespace: String?, after name: (namespace: String, id: String)?, limit: Int
    ) async throws -> (schedules: [ScheduleInfo], next: (namespace: String, id: String)?) {
        let after = name.map { ScheduleKey(namespace: $0.namespace, id: $0.id) }
        let rows = try await guarded { try await store.schedules(.listed(namespace: namespace, after: after, limit: limit)) }
        let schedules = rows.compactMap { row in (try? ScheduleDocument(row)).map { ScheduleInfo(row.key, $0) } }
        return (schedules, rows.count == limit ? rows.last.map { ($0.key.namespace, $0.key.id) } : nil)
    }

    // MARK: Parts

    /// What becomes of a schedule, and of the caller's question.
    private enum Edit<Answer> {
        case nothing(Answer)
        case put(ScheduleDocument, [NewRun], Answer)
        case remove(Answer)
    }

    private func key(_ id: String, _ namespace: String?) throws -> ScheduleKey {
        let namespace = namespace ?? ownNamespace
        for name in [id, namespace] where !Name.isIdentifier(name) {
            throw PerdureError(
                .nameInvalid,
                "'\(name.prefix(200))' cannot be the name of a schedule or a namespace: use 1 to 128 letters, digits, '-', '_' and '.'."
            )
        }
        return ScheduleKey(namespace: namespace, id: id)
    }

    private func row(_ key: ScheduleKey) async throws -> ScheduleRow? {
        try await guarded { try await store.schedules(.one(key)) }.first
    }

    private func document(_ key: ScheduleKey) async throws -> ScheduleDocument {
        guard let row = try await row(key) else { throw Self.unknown(key) }
        return try Self.read(row)
    }

    private static func unknown(_ key: ScheduleKey) -> PerdureError {
        PerdureError(
            .scheduleUnknown, "There is no schedule '\(key.id)' in namespace '\(key.namespace)'.",
            metadata: [("schedule", key.id)])
    }

    private static func read(_ row: ScheduleRow) throws -> ScheduleDocument {
        do {
            return try ScheduleDocument(row)
        } catch let error as PerdureError {
            throw error
        } catch let error as BadRow where error.isFromLater {
            throw PerdureError(.storeTooNew, "Schedule '\(row.key.id)': \(error). Use that release.")
        } catch {
            throw PerdureError(.storeCorrupt, "Schedule '\(row.key.id)' cannot be read: \(error)")
        }
    }

    private func editKnown<Answer>(
        _ key: ScheduleKey, _ body: (inout ScheduleDocument, Timestamp) async throws -> Edit<Answer>
    ) async throws -> Answer {
        try await edit(key) { found, now in
            guard var document = found else { throw Self.unknown(key) }
            return try await body(&document, now)
        }
    }

    private func edit<Answer>(
        _ key: ScheduleKey, _ body: (ScheduleDocument?, Timestamp) async throws -> Edit<Answer>
    ) async throws -> Answer {
        for attempt in 0..<100 {
            // Two triggers at one moment are two due times.
            let row = try await row(key), now = store.now() + .microseconds(attempt)
            let document = try row.map { try Self.read($0) }
            // Never a version that this name has had before.
            let version = max(row?.nextVersion ?? 1, now.microseconds)
            let change: ScheduleChange, answer: Answer
            var started: RunID?
            switch try await body(document, now) {
            case .nothing(let known): return known
            case .put(let document, let starts, let given):
                change = ScheduleChange(key, on: row?.version, to: document.row(key, version: version), starts: starts)
                (answer, started) = (given, starts.first?.record.id)
            case .remove(let given):
                change = ScheduleChange(key, on: row?.version, to: nil)
                answer = given
            }
            switch try await deliver(.schedule(change)) {
            case .scheduled: return answer
            case .refused(.conflict), .keyTaken:
                // Taken, perhaps, if its answer was lost: the schedule may have moved on since.
                if let started, try await guarded({ try await store.run(started) }) != nil { return answer }
            case .refused(.queueUnknown(let name)): throw PerdureError(queueUnknown: name)
            case .refused(.quotaExceeded(let refusal)): throw PerdureError(refusal)
            case let other:
                throw PerdureError(.storeUnavailable, "The store did not take the schedule: \(other). Nothing was changed.")
            }
        }
        throw PerdureError(.storeUnavailable, "Others change schedule '\(key.id)' again and again; try again.")
    }

    private func newRun(_ start: ScheduleTurn.Start, _ document: ScheduleDocument, _ version: String, _ key: ScheduleKey)
        -> NewRun
    {
        NewRun(start, of: document, version: version, key, build: build, node: nil, now: store.now(), random: random)
    }

    /// Those of the runs that have ended, each with all that continued it. One that is gone has ended too.
    func closed(_ runs: [ScheduleDocument.Open]) async throws -> Set<RunID> {
        try await guarded { try await store.closed(runs) }
    }
}

extension Store {
    /// Those of the runs that have ended, each with all that continued it. One that is gone has ended too, and so has one that is
    /// quarantined or cannot be read: nothing executes it any more.
    func closed(_ runs: [ScheduleDocument.Open]) async throws(StoreError) -> Set<RunID> {
        var closed: Set<RunID> = []
        for open in runs {
            if try await isClosed(open.run) { closed.insert(open.run) }
        }
        return closed
    }

    private func isClosed(_ id: RunID) async throws(StoreError) -> Bool {
        do throws(StoreError) {
            var record = try await run(id)
            if let first = record, first.successor != nil { record = try await lastOfChain(begunBy: first.chain.run) }
            return record?.state.endsWaits ?? true
        } catch {
            switch error {
            // Nothing executes it any more: as good as quarantined.
            case .corrupt: return true
            case .unsupported: return false
            case .unavailable, .awaitsNodes, .outcomeUnknown, .unusable, .leaseLost, .closed: throw error
            }
        }
    }
}

extension ScheduleDocument {
    /// The version that a run is started in: the one that is named, else the newest that is hosted, else the one before.
    func version(hosted: [ClaimRequest.Hosted]) -> String? {
        if let version = schedule.version { return version.description }
        let newest = hosted.filter { $0.workflow == schedule.workflow }.map { WorkflowVersion($0.version) }.max()
        return newest?.description ?? lastVersion
    }

    /// The same, due when its next time comes.
    func rescheduled(_ key: ScheduleKey, _ now: Timestamp) -> ScheduleDocument {
        // Without deciding anything: that is for engines.
        var turn = ScheduleTurn(self, key: key, now: now)
        turn.setDue()
        return turn.document
    }
}
