package import Foundation
internal import Perdure
package import PerdureEngine
package import PerdureHistory

/// Schedules for people and for machines.
package enum ScheduleText {
    // MARK: Times

    /// Whole seconds in UTC, with what is left of one.
    static func utc(_ date: Date) -> String {
        let text = Timestamp(date).description
        return text.hasSuffix(".000000Z") ? "\(text.dropLast(8))Z" : text
    }

    /// As the clocks on the walls show it, with their distance to UTC.
    static func local(_ date: Date, _ spec: ScheduleSpec) -> String {
        guard let zone = spec.zone.flatMap(TimeZone.init(identifier:)) else { return utc(date) }
        let offset = zone.secondsFromGMT(for: date), minutes = abs(offset) / 60
        let wall = utc(date.addingTimeInterval(TimeInterval(offset))).dropLast()
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(wall)\(offset < 0 ? "-" : "+")\(two(minutes / 60)):\(two(minutes % 60))"
    }

    static func line(_ date: Date, _ spec: ScheduleSpec) -> String {
        guard let zone = spec.zone, zone != "UTC" else { return utc(date) }
        return "\(utc(date))  \(local(date, spec)) \(zone)"
    }

    // MARK: Text

    static func table(_ schedules: [ScheduleInfo], now: Timestamp, style: Style) -> String {
        guard !schedules.isEmpty else { return "No schedules.\n" }
        let header = ["SCHEDULE", "WHEN", "WORKFLOW", "NEXT", "STARTED", "STANDING"]
        let rows = schedules.map { info in
            [
                info.namespace == "default" ? info.id : "\(info.namespace)/\(info.id)", info.schedule.spec.description,
                info.schedule.workflow + (info.schedule.version.map { " \($0)" } ?? ""), info.nextDue.map(utc) ?? "-",
                String(info.started), standing(info),
            ]
        }
        let lines = TextTable(heading: header, rows: rows).lines(style) { place, line in
            schedules[place].trouble != nil ? style.red(line) : schedules[place].pausedAt != nil ? style.yellow(line) : line
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func standing(_ info: ScheduleInfo) -> String {
        if let trouble = info.trouble { return trouble }
        if info.pausedAt != nil { return "paused: \((info.pauseNote ?? "").shortened(to: 60))" }
        if info.isBackfilling { return "backfilling" }
        if !info.waiting.isEmpty { return "\(info.waiting.count) waiting" }
        return info.openRuns.isEmpty ? "" : "running"
    }

    static func details(_ info: ScheduleInfo, times: [Date], now: Timestamp, style: Style) -> String {
        let schedule = info.schedule
        var lines = [
            style.bold(info.namespace == "default" ? info.id : "\(info.namespace)/\(info.id)") + "  \(schedule.spec)",
            "Starts \(schedule.workflow)\(schedule.version.map { " \($0)" } ?? " in its newest version") with \(String(decoding: schedule.input, as: UTF8.self).shortened(to: 200)).",
            "While a run is open: \(schedule.overlap.rawValue). At most \(ReadableTime.span(schedule.catchUp)) late."
                + (schedule.jitter > .zero ? " Spread over \(ReadableTime.span(schedule.jitter))." : ""),
            schedule.queue.map { "Its runs wait in queue '\($0.name)'\($0.key.isEmpty ? "" : " under key '\($0.key)'")." },
            "Started \(info.started), passed over \(info.skipped), missed \(info.missed).",
        ].compactMap(\.self)
        if let last = info.lastRun { lines.append("Last: run \(last.run), due \(line(last.due, schedule.spec)).") }
        for open in info.openRuns { lines.append("Open when it was looked at last: run \(open.run), due \(utc(open.due)).") }
        if !info.waiting.isEmpty {
            lines.append("Waiting for the end of a run: " + info.waiting.map(utc).joined(separator: ", ") + ".")
        }
        if info.isBackfilling { lines.append("A backfill is under way.") }
        if let at = info.pausedAt {
            lines.append(
                style.yellow(
                    "Paused since \(utc(at)) by \(info.pausedBy.map(\.description) ?? "somebody"): \((info.pauseNote ?? "").shortened(to: 1_000))"
                ))
        }
        if let trouble = info.trouble { lines.append(style.red(trouble)) }
        lines.append(
            "Made by \(info.createdBy) at \(utc(info.createdAt)), changed by \(info.changedBy) at \(utc(info.changedAt)).")
        if !times.isEmpty { lines += ["Due next:"] + times.map { "  " + line($0, schedule.spec) } }
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: JSON

    static func json(_ date: Date) -> JSONValue { .string(utc(date)) }

    package static func json(_ info: ScheduleInfo, times: [Date]? = nil) -> JSONValue {
        let schedule = info.schedule
        func seconds(_ duration: Duration) -> JSONValue { .integer(duration.components.seconds) }
        let labels = schedule.labels.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }
        return .members(
            ("id", .string(info.id)), ("namespace", .string(info.namespace)), ("when", .string(schedule.spec.description)),
            ("zone", schedule.spec.zone.map { .string($0) }), ("workflow", .string(schedule.workflow)),
            ("version", schedule.version.map { .string($0.description) }),
            ("input", try? JSONValue.parse(Array(schedule.input), what: "the input")), ("labels", .object(JSONObject(labels))),
            (
                "queue",
                schedule.queue.map {
                    .members(("name", .string($0.name)), ("key", .string($0.key)), ("priority", JSONValue($0.priority)))
                }
            ), ("deadline_seconds", schedule.deadline.map(seconds)), ("overlap", .string(schedule.overlap.rawValue)),
            ("catch_up_seconds", seconds(schedule.catchUp)), ("jitter_seconds", seconds(schedule.jitter)),
            ("next_due", info.nextDue.map(json)), ("last_run", info.lastRun.map { .string($0.run.description) }),
            ("last_due", info.lastRun.map { json($0.due) }),
            ("open_runs", .array(info.openRuns.map { .string($0.run.description) })), ("waiting", .array(info.waiting.map(json))),
            ("backfilling", .bool(info.isBackfilling)), ("started", JSONValue(info.started)),
            ("skipped", JSONValue(info.skipped)),
            ("missed", JSONValue(info.missed)), ("paused_at", info.pausedAt.map(json)),
            ("note", info.pauseNote.map { .string($0) }),
            ("paused_by", info.pausedBy.map { .string($0.description) }), ("created_by", .string(info.createdBy.description)),
            ("created_at", json(info.createdAt)), ("changed_by", .string(info.changedBy.description)),
            ("changed_at", json(info.changedAt)), ("trouble", info.trouble.map { .string($0) }),
            (
                "due_times",
                times.map { times in
                    .array(times.map { ["utc": json($0), "local": .string(local($0, schedule.spec))] })
                }
            ))
    }
}
