internal import PerdureEngine
internal import PerdureTesting

/// What `resumability` prints for a person.
enum ResumabilityText {
    static func render(_ report: ResumabilityReport, _ style: Style) -> String {
        let bad = report.trials.count { !$0.violations.isEmpty }, name = "\(report.workflow) \(report.version)"
        let size = "\(report.trials.count) interruptions at \(report.checkpoints.count) checkpoints"
        var lines = [
            bad == 0
                ? "\(style.green("✓")) \(name) survives \(size)" : "\(style.red("✗")) \(name) does not survive \(bad) of \(size)"
        ]
        lines += report.warnings.map { "  \(style.yellow("!")) \($0)" }
        let decisions = Set(report.trials.flatMap(\.decisions)).sorted()
        lines += decisions.map { "  \(style.dim("a person has to say")) \($0)" }
        if let story = report.story { lines += ["", story] }
        return lines.joined(separator: "\n")
    }

    static func render(_ inventory: WorkflowInventory, _ style: Style) -> String {
        var lines = ["", "What cannot get through an interruption unaided:"]
        for entry in inventory.entries where !entry.findings.isEmpty {
            lines.append("\(entry.workflow) \(entry.version)\(entry.owner.map { " (\($0))" } ?? "")")
            lines += entry.findings.map { finding in
                "  \(finding.stopsRuns ? style.red("✗") : style.yellow("!")) \(finding.kind.rawValue): \(finding.message)"
            }
        }
        if inventory.isClean { lines.append("Nothing.") }
        return lines.joined(separator: "\n")
    }
}
