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
        lines += TextTable(heading: header, rows: rows, numbers: [2, 3]).lines(style) { place, line in
            versions[place].isStranded ? style.red(line) : versions[place].isDrained ? style.green(line) : line
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func standing(_ version: VersionInfo) -> String {
        if version.isStranded { return "stranded: no process that lives hosts it" }
        if version.isDrained { return version.isHosted ? "drained: may be removed" : "drained" }
        return version.takesNewRuns ? "hosted, takes new runs" : "hosted, until its runs have closed"
    }
}
