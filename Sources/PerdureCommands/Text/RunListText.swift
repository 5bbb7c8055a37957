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
        let lines = TextTable(heading: header, rows: rows).lines(
            style,
            paintingCells: { place, column, cell in
                let state = runs[place].stateName
                return column == 2 ? style.state(state) + cell.dropFirst(state.count) : cell
            })
        return lines.joined(separator: "\n") + "\n"
    }
}
