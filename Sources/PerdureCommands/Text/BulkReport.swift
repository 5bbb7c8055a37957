internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// What a command for many runs says before and after.
struct BulkReport {
    let intervention: Intervention
    let runs: [RunInfo]

    private static let shownRuns = 50

    private func count(_ number: Int) -> String { number == 1 ? "1 run" : "\(number) runs" }

    var preview: String {
        guard !runs.isEmpty else { return "No run is meant.\n" }
        var lines = runs.prefix(Self.shownRuns).map { run in
            "would \(intervention.name) \(run.id)  \(run.workflow) \(run.version)  \(run.state)"
        }
        if runs.count > Self.shownRuns { lines.append("and \(count(runs.count - Self.shownRuns)) more") }
        return (lines + ["\(count(runs.count)) in all."]).joined(separator: "\n") + "\n"
    }

    func summary(_ results: [InterventionResult]) -> String {
        let refused = results.filter { $0.error != nil }
        var lines = refused.map { "\($0.run.id): \($0.error.map { "\($0)" } ?? "")" }
        lines.append("\(intervention.name): accepted by \(count(results.count - refused.count)), refused by \(refused.count).")
        return lines.joined(separator: "\n") + "\n"
    }

    /// - Parameter results: `nil` if nothing was to be done.
    func json(results: [InterventionResult]?) -> JSONValue {
        let errors = Dictionary(
            (results ?? []).compactMap { result in result.error.map { (result.run.id, $0) } },
            uniquingKeysWith: { first, _ in first })
        let listed = runs.map { run in
            JSONValue.members(
                ("run", .string(run.id.description)), ("workflow", .string(run.workflow)), ("version", .string(run.version)),
                ("state", .string(run.state)), ("refused", errors[run.id].map { .string($0.code.rawValue) }),
                ("message", errors[run.id].map { .string($0.message) }))
        }
        return .members(
            ("command", .string(intervention.name)), ("dry_run", .bool(results == nil)),
            ("accepted", .integer(Int64((results?.count ?? 0) - errors.count))), ("refused", .integer(Int64(errors.count))),
            ("runs", .array(listed)))
    }
}
