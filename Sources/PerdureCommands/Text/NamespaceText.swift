internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// Namespaces and what is set for them, for people and as JSON.
enum NamespaceText {
    static func table(_ found: [NamespaceInfo], style: Style) -> String {
        guard !found.isEmpty else { return "There is no namespace with runs or settings.\n" }
        let heading = ["NAMESPACE", "KEEPS", "TOMBSTONES", "ARCHIVE", "SET BY", "RUNS"]
        let rows = found.map { info in
            [
                info.name.shortened(to: 40), keeps(info.settings, \.closedAfter), keeps(info.settings, \.removedAfter),
                info.settings.map { $0.archive ? "on" : "off" } ?? "", (info.changedBy?.id ?? "").shortened(to: 30),
                info.runs.isEmpty ? "none" : runs(info.runs),
            ]
        }
        let widths = heading.indices.map { column in ([heading] + rows).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            cells.indices.map { $0 == cells.count - 1 ? cells[$0] : cells[$0].padded(to: widths[$0]) }.joined(separator: "  ")
        }
        return ([style.dim(line(heading))] + rows.map(line)).joined(separator: "\n") + "\n"
    }

    /// What holds from now on.
    static func sentence(_ settings: NamespaceSettings?) -> String {
        guard let settings else { return "nothing is set; each engine follows its own configuration." }
        let tombstones = settings.removedAfter.map { "for \(ReadableTime.span($0))" } ?? "for ever"
        guard let time = settings.closedAfter else {
            return "histories stay for ever\(settings.archive ? ", so that none is archived" : "")."
        }
        let archive = settings.archive ? ", if they are in an archive by then" : ""
        return
            "histories stay for \(ReadableTime.span(time)) after their runs have closed\(archive), and tombstones \(tombstones) after that."
    }

    static func json(_ info: NamespaceInfo) -> JSONValue {
        var object = object(info.name, info.settings)
        if let actor = info.changedBy { object["changed_by"] = .string(actor.id) }
        if let date = info.changedAt { object["changed_at"] = ScheduleText.json(date) }
        object["runs"] = .object(JSONObject(info.runs.map { ($0.key, JSONValue($0.value)) }))
        return .object(object)
    }

    static func json(_ name: String, _ settings: NamespaceSettings?) -> JSONValue { .object(object(name, settings)) }

    private static func object(_ name: String, _ settings: NamespaceSettings?) -> JSONObject {
        var object = JSONObject([("namespace", .string(name)), ("set", .bool(settings != nil))])
        guard let settings else { return object }
        object["archive"] = .bool(settings.archive)
        if let time = settings.closedAfter { object["keep_seconds"] = .integer(time.microseconds / 1_000_000) }
        if let time = settings.removedAfter { object["keep_tombstones_seconds"] = .integer(time.microseconds / 1_000_000) }
        return object
    }

    private static func keeps(_ settings: NamespaceSettings?, _ time: (NamespaceSettings) -> Duration?) -> String {
        settings.map { time($0).map { ReadableTime.span($0) } ?? "for ever" } ?? "as configured"
    }

    private static func runs(_ runs: [String: Int]) -> String {
        runs.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}
