package import PerdureEngine

/// A run's explanation with the commands that move it.
package enum ExplanationText {
    package static func render(_ explanation: RunExplanation, program: String, style: Style) -> String {
        var lines = explanation.sentences.map { $0.trimmingSuffix(" ") }
        if !explanation.moves.isEmpty {
            lines.append("")
            for move in explanation.moves {
                lines.append("  \(style.bold(CommandText.line(program, move.command)))")
                lines.append("      \(style.dim(move.meaning))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: Character) -> String {
        var text = self
        while text.last == suffix { text.removeLast() }
        return text
    }
}
