internal import Perdure
package import PerdureEngine
internal import PerdureHistory
package import PerdureStore

/// What a verification found.
package enum VerificationText {
    package static func render(_ record: RunRecord, _ report: HistoryVerifier.Report, style: Style) -> String {
        func fact(_ name: String, _ isSo: Bool, _ text: String) -> String {
            "  \(name.padded(to: 15)) \(isSo ? style.green("yes") : style.red("NO"))  \(style.dim(text))"
        }
        var lines = ["\(style.bold(record.id.description))  \(record.workflow) \(record.version)  \(report.eventCount) events"]
        if let first = report.problems.first {
            let place = first.seq.map { "event \($0)" } ?? "the run's row"
            lines.append("  \(style.red("WRONG at \(place)")) (\(first.rule.rawValue)): \(first.message)")
            for other in report.problems.dropFirst().prefix(9) {
                lines.append("        \(other.seq.map { "event \($0)" } ?? "row") (\(other.rule.rawValue)): \(other.message)")
            }
            if report.problems.count > 10 { lines.append("        and \(report.problems.count - 10) more") }
        }
        if let last = report.expiredAfter {
            let text = "its \(last) events were removed; only the end of their chain can be checked"
            lines.append(
                "  \("expired".padded(to: 15)) \(report.isSound ? style.green("yes") : style.red("yes"))  \(style.dim(text))")
            return lines.joined(separator: "\n") + "\n"
        }
        lines.append(fact("proven once", report.isProvenOnce, "no completed step was repeated, nothing was sent again blindly"))
        let takeovers = report.takeovers == 1 ? "1 takeover" : "\(report.takeovers) takeovers"
        lines.append(fact("resumed safely", report.isResumedSafely, takeovers))
        if report.isClosed {
            lines.append(
                fact(
                    "closed cleanly", report.isClosedCleanly,
                    report.isClosedCleanly ? "nothing is open or in doubt" : "something is left open or in doubt"))
        } else {
            lines.append("  \("closed cleanly".padded(to: 15)) --   \(style.dim("the run is not closed yet"))")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
