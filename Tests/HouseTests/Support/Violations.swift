import Testing

/// Fails with the whole list, one place on each line.
func expectNone(_ violations: [String], _ rule: String, sourceLocation: SourceLocation = #_sourceLocation) {
    guard !violations.isEmpty else { return }
    Issue.record("\(rule)\n\(violations.joined(separator: "\n"))", sourceLocation: sourceLocation)
}
