internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// Namespaces and what is set for them, for people and as JSON.
enum NamespaceText {
    static func table(_ found: [NamespaceInfo], style: Style) -> String {
        guard !found.isEmpty else { return "There is no namespace with runs, settings or quotas.\n" }
        let heading = ["NAMESPACE", "KEEPS", "TOMBSTONES", "ARCHIVE", "SET BY", "QUOTAS", "RUNS"]
        let rows = found.map { info in
            [
                info.name.shortened(to: 40), keeps(info.settings, \.closedAfter), keeps(info.settings, \.removedAfter),
                info.settings.map { $0.archive ? "on" : "off" } ?? "", (info.changedBy?.id ?? "").shortened(to: 30),
                info.quotas.map(taken) ?? "",
                info.runs.isEmpty ? "none" : runs(info.runs),
            ]
        }
        return TextTable(heading: heading, rows: rows).lines(style).joined(separator: "\n") + "\n"
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
        if let quotas = info.quotas { object["quotas"] = quotaJSON(quotas) }
        object["runs"] = .object(JSONObject(info.runs.map { ($0.key, JSONValue($0.value)) }))
        return .object(object)
    }

    /// The same without runs.
    static func json(settingsOf info: NamespaceInfo) -> JSONValue {
        var object = object(info.name, info.settings)
        if let quotas = info.quotas { object["quotas"] = quotaJSON(quotas) }
        return .object(object)
    }

    // MARK: Quotas

    /// What holds from now on.
    static func quotaSentence(_ info: QuotaInfo?) -> String {
        guard let quotas = info?.quotas else { return "it has no quotas." }
        let parts = [
            quotas.openRuns.map { "\($0) open runs" }, quotas.payloadBytes.map { "\(size($0)) of inputs and outputs" },
            quotas.starts.map { "starts of \(rate($0))" },
        ].compactMap(\.self)
        return "it may have \(parts.joined(separator: ", "))."
    }

    private static func taken(_ info: QuotaInfo) -> String {
        let quotas = info.quotas
        return [
            quotas.openRuns.map { "\(info.openRuns) of \($0) open" },
            quotas.payloadBytes.map { "\(size(info.payloadBytes ?? 0)) of \(size($0))" }, quotas.starts.map(rate),
        ].compactMap(\.self).joined(separator: ", ")
    }

    private static func rate(_ rate: Rate) -> String {
        "\(rate.count) in \(ReadableTime.span(rate.period))" + (rate.burst > 1 ? ", up to \(rate.burst) together" : "")
    }

    /// In powers of 1,000, as it is given.
    private static func size(_ bytes: Int64) -> String {
        let units: [(Int64, String)] = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")]
        guard let (unit, name) = units.first(where: { bytes >= $0.0 }) else { return "\(bytes) B" }
        let tenths = bytes / (unit / 10)
        return tenths % 10 == 0 ? "\(tenths / 10) \(name)" : "\(tenths / 10).\(tenths % 10) \(name)"
    }

    private static func quotaJSON(_ info: QuotaInfo) -> JSONValue {
        let quotas = info.quotas
        return .members(
            ("max_open_runs", quotas.openRuns.map { JSONValue($0) }),
            ("max_payload_bytes", quotas.payloadBytes.map { .integer($0) }),
            (
                "starts",
                quotas.starts.map { rate in
                    .members(
                        ("count", JSONValue(rate.count)), ("period_seconds", .integer(rate.period.components.seconds)),
                        ("burst", JSONValue(rate.burst)))
                }
            ),
            ("open_runs", JSONValue(info.openRuns)), ("payload_bytes", info.payloadBytes.map { .integer($0) }),
            ("changed_by", .string(info.changedBy.id)), ("changed_at", ScheduleText.json(info.changedAt)))
    }

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
