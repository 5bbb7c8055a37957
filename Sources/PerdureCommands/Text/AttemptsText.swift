internal import PerdureEngine

/// Reports of attempts as a table.
enum AttemptsText {
    static func render(_ reports: [AttemptReport], problems: [String], style: Style) -> String {
        guard !reports.isEmpty || !problems.isEmpty else { return "No run has closed.\n" }
        let header = ["WORKFLOW", "CLOSED", "FIRST ATTEMPT", "FAILED ATTEMPTS", "BY THE ENGINE", "UNREAD"]
        let rows = reports.map { report in
            [
                report.workflow.shortened(to: 60), String(report.closed), share(report), String(report.failedAttempts),
                String(report.failedByEngine), String(report.unread),
            ]
        }
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            zip(cells, widths).enumerated().map { column, cell in
                column == 0 ? cell.0.padded(to: cell.1) : cell.0.indented(to: cell.1)
            }
            .joined(separator: "  ")
        }
        var lines = reports.isEmpty ? [] : [style.dim(line(header))]
        for (report, row) in zip(reports, rows) {
            let text = line(row)
            lines.append(report.failedByEngine > 0 ? style.red(text) : text)
        }
        return (lines + problems.map(style.red)).joined(separator: "\n") + "\n"
    }

    private static func share(_ report: AttemptReport) -> String {
        guard let rate = report.firstAttemptRate else { return "-" }
        // Rounded down: what is not all is not called so.
        return "\(report.atFirstAttempt) (\(Int(rate * 100)) %)"
    }
}
