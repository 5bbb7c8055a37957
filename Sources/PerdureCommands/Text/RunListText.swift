internal import Perdure
internal import PerdureEngine
package import PerdureHistory
package import PerdureStore

/// Runs as a table.
package enum RunListText {
    package static func render(_ runs: [RunRecord], now: Timestamp, style: Style) -> String {
        guard !runs.isEmpty else { return "No runs.\n" }
        let header = ["RUN", "WORKFLOW", "STATE", "STARTED", "KEY"]
        let rows = runs.map { run in
            [
                run.id.description, "\(run.workflow) \(run.version)", run.stateName,
                ReadableTime.span(now.duration(since: run.createdAt)) + " ago", run.key?.shortened(to: 40) ?? "",
            ]
        }
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String], paint: (Int, String) -> String) -> String {
            var text = cells.indices.map { paint($0, cells[$0].padded(to: widths[$0])) }.joined(separator: "  ")
            while text.hasSuffix(" ") { text.removeLast() }
            return text
        }
        let lines =
            [line(header) { style.dim($1) }]
            + rows.map { cells in
                line(cells) { $0 == 2 ? style.state(cells[2]) + $1.dropFirst(cells[2].count) : $1 }
            }
        return lines.joined(separator: "\n") + "\n"
    }
}
