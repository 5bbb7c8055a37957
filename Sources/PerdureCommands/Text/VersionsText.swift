internal import Perdure
internal import PerdureEngine
internal import PerdureStore

/// Versions as a table, under a sentence on who hosts them.
enum VersionsText {
    static func render(_ versions: [VersionInfo], nodes: [NodeRegistration], style: Style) -> String {
        var lines = nodes.map { "Hosted by process \($0.processID) on \($0.host), build \($0.build.shortened(to: 12))." }
        if lines.isEmpty { lines = ["No process hosts this store now."] }
        guard !versions.isEmpty else { return (lines + ["No versions."]).joined(separator: "\n") + "\n" }
        let header = ["WORKFLOW", "VERSION", "OPEN", "CLOSED", "STANDING"]
        let rows = versions.map { version in
            let all = version.runs.values.reduce(0, +)
            return [
                version.workflow, version.version.description, String(version.openRuns), String(all - version.openRuns),
                standing(version),
            ]
        }
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            cells.indices.map { column in
                if column == cells.count - 1 { return cells[column] }
                return (2...3).contains(column)
                    ? cells[column].indented(to: widths[column]) : cells[column].padded(to: widths[column])
            }
            .joined(separator: "  ")
        }
        lines.append(style.dim(line(header)))
        for (version, row) in zip(versions, rows) {
            let text = line(row)
            lines.append(version.isStranded ? style.red(text) : version.isDrained ? style.green(text) : text)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func standing(_ version: VersionInfo) -> String {
        if version.isStranded { return "stranded: no process that lives hosts it" }
        if version.isDrained { return version.isHosted ? "drained: may be removed" : "drained" }
        return version.takesNewRuns ? "hosted, takes new runs" : "hosted, until its runs have closed"
    }
}
