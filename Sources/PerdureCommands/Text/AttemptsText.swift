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
        let table = TextTable(heading: header, rows: rows, numbers: Set(1..<header.count))
        let lines = table.lines(style) { place, line in reports[place].failedByEngine > 0 ? style.red(line) : line }
        return ((reports.isEmpty ? [] : lines) + problems.map(style.red)).joined(separator: "\n") + "\n"
    }

    private static func share(_ report: AttemptReport) -> String {
        guard let rate = report.firstAttemptRate else { return "-" }
        // Rounded down: what is not all is not called so.
        return "\(report.atFirstAttempt) (\(Int(rate * 100)) %)"
    }
}
