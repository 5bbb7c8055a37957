import Perdure
import PerdureHistory
import PerdureStore

/// All that is known of a schedule: what it starts and when, how far it has come, and who did what to it last.
struct ScheduleDocument: Hashable, Sendable {
    struct Open: Hashable, Sendable {
        let run: RunID
        let due: Timestamp
    }

    /// Due times of the past whose runs are to be started, as far as there are none.
    struct Backfill: Hashable, Sendable {
        /// What was looked at.
        var cursor: Timestamp
        let end: Timestamp
        /// Whether its runs start beside others.
        let overlaps: Bool
        let by: Principal
    }

    struct Act: Hashable, Sendable {
        let by: Principal
        let at: Timestamp
    }

    struct Pause: Hashable, Sendable {
        let note: String
        let act: Act
    }

    struct Counts: Hashable, Sendable {
        var started: Int64 = 0
        /// Passed over because of a run that was open.
        var skipped: Int64 = 0
        /// Nobody could act on them in time.
        var missed: Int64 = 0
    }

    var schedule: Schedule
    /// The due times up to this one are decided.
    var cursor: Timestamp
    /// Runs of this schedule that were open when it was looked at last. Of those that may overlap only the latest.
    var open: [Open] = []
    /// Due times that wait for the end of a run, oldest first.
    var waiting: [Timestamp] = []
    var backfills: [Backfill] = []
    var counts = Counts()
    /// The run that was started last.
    var last: Open?
    var lastVersion: String?
    var pause: Pause?
    var created: Act
    /// Who changed what it starts or when, at last.
    var changed: Act
    /// Why nothing can be started, as a sentence.
    var trouble: String?
    /// How often in a row it was looked in vain whether a run has ended.
    var vainLooks: Int64 = 0
    /// When somebody has to look at it.
    var due: Timestamp?

    init(_ schedule: Schedule, from cursor: Timestamp, by act: Act) {
        self.schedule = schedule
        self.cursor = cursor
        (created, changed) = (act, act)
    }
}

// MARK: - As a row

extension ScheduleDocument {
    func row(_ key: ScheduleKey, version: Int64) -> ScheduleRow {
        ScheduleRow(key: key, version: version, dueAt: due, document: json.canonicalText)
    }

    private var json: JSONValue {
        var object: JSONObject = [
            "format": 1, "schedule": schedule.json, "cursor": JSONValue(cursor), "open": .array(open.map(\.json)),
            "waiting": .array(waiting.map { JSONValue($0) }), "backfills": .array(backfills.map(\.json)),
            "started": .integer(counts.started), "skipped": .integer(counts.skipped), "missed": .integer(counts.missed),
            "created": created.json, "changed": changed.json, "vain_looks": .integer(vainLooks),
        ]
        object["last"] = last?.json
        object["last_version"] = lastVersion.map { .string($0) }
        object["pause"] = pause.map { ["note": .string($0.note), "act": $0.act.json] }
        object["trouble"] = trouble.map { .string($0) }
        object["due"] = due.map { JSONValue($0) }
        return .object(object)
    }

    /// Throws if a later release wrote it, or it was changed by hand.
    init(_ row: ScheduleRow) throws {
        let value = try JSONValue.parse(Array(row.document.utf8), what: "a schedule")
        guard let object = value.objectValue, object["format"]?.integerValue == 1 else {
            throw BadRow("a later release wrote it", isFromLater: true)
        }
        guard let schedule = object["schedule"], let cursor = object.timestamp("cursor"),
            let created = object["created"].flatMap(Act.init), let changed = object["changed"].flatMap(Act.init)
        else { throw BadRow("a schedule lacks something that it needs") }
        self.init(try Schedule(schedule), from: cursor, by: created)
        self.changed = changed
        open = object["open"]?.arrayValue?.compactMap(Open.init) ?? []
        waiting = object["waiting"]?.arrayValue?.compactMap { $0.integerValue.map(Timestamp.init(microseconds:)) } ?? []
        backfills = object["backfills"]?.arrayValue?.compactMap(Backfill.init) ?? []
        // No row counts so far; one that was changed by hand must not make the next step overflow.
        func count(_ key: String) -> Int64 { min(max(object[key]?.integerValue ?? 0, 0), 1 << 60) }
        counts = Counts(started: count("started"), skipped: count("skipped"), missed: count("missed"))
        last = object["last"].flatMap(Open.init)
        lastVersion = object["last_version"]?.stringValue
        pause = object["pause"].flatMap { pause in
            pause["act"].flatMap(Act.init).map { Pause(note: pause["note"]?.stringValue ?? "", act: $0) }
        }
        trouble = object["trouble"]?.stringValue
        vainLooks = count("vain_looks")
        due = row.dueAt
    }
}

extension ScheduleDocument.Open {
    fileprivate var json: JSONValue { ["run": .string(run.description), "due": JSONValue(due)] }

    fileprivate init?(_ value: JSONValue) {
        guard let run = value["run"]?.stringValue.flatMap(RunID.init), let due = value["due"]?.integerValue else { return nil }
        self.init(run: run, due: Timestamp(microseconds: due))
    }
}

extension ScheduleDocument.Act {
    fileprivate var json: JSONValue { ["by": JSONValue(by), "at": JSONValue(at)] }

    fileprivate init?(_ value: JSONValue) {
        guard let by = value["by"].flatMap(Principal.init), let at = value["at"]?.integerValue else { return nil }
        self.init(by: by, at: Timestamp(microseconds: at))
    }
}

extension ScheduleDocument.Backfill {
    fileprivate var json: JSONValue {
        ["cursor": JSONValue(cursor), "end": JSONValue(end), "overlaps": .bool(overlaps), "by": JSONValue(by)]
    }

    fileprivate init?(_ value: JSONValue) {
        guard let cursor = value["cursor"]?.integerValue, let end = value["end"]?.integerValue,
            let overlaps = value["overlaps"]?.boolValue, let by = value["by"].flatMap(Principal.init)
        else { return nil }
        self.init(
            cursor: Timestamp(microseconds: cursor), end: Timestamp(microseconds: end), overlaps: overlaps, by: by)
    }
}
