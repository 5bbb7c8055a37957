import Testing

/// Fails with the whole list, one place on each line.
func expectNone(
    _ violations: [String], _ rule: Comment, sourceLocation: SourceLocation = #_sourceLocation
) {
    if violations.isEmpty { return }
    Issue.record("\(rule)\n\(raw: violations.joined(separator: "\n"))", sourceLocation: sourceLocation)
}

extension Comment.StringInterpolation {
    mutating func appendInterpolation(raw text: String) { appendInterpolation(text) }
    mutating func appendInterpolation(_ comment: Comment) { appendInterpolation(comment.rawValue) }
}
