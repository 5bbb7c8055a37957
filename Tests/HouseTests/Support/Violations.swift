import Testing

/// Fails with the whole list, one place on each line.
///
/// - Parameter owedBy: names of files in which places are known and remain to be mended; they are reported without failing.
func expectNone(
    _ violations: [String], _ rule: String, owedBy debtors: Set<String> = [], sourceLocation: SourceLocation = #_sourceLocation
) {
    let owed = violations.filter { violation in debtors.contains { violation.contains("/\($0):") } }
    let others = violations.filter { !owed.contains($0) }
    if !owed.isEmpty {
        withKnownIssue { record(owed, rule, sourceLocation) }
    }
    if !others.isEmpty { record(others, rule, sourceLocation) }
}

private func record(_ violations: [String], _ rule: String, _ sourceLocation: SourceLocation) {
    Issue.record("\(rule)\n\(violations.joined(separator: "\n"))", sourceLocation: sourceLocation)
}
