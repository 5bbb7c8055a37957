internal import Perdure
internal import PerdureEngine
package import PerdureHistory

/// Events exactly as they are recorded.
package enum RawEventText {
    package static func render(_ events: [Event], style: Style) -> String {
        events.map { event in
            var lines = [
                "\(event.seq)  \(event.at)  \(style.bold(event.kind.rawValue))\(event.subject.isEmpty ? "" : "  \(event.subject)")",
                "    attributes  \(event.attributes)",
            ]
            if let input = ValueText.json(event.input) { lines.append("    input       \(input)") }
            if let output = ValueText.json(event.output) { lines.append("    output      \(output)") }
            lines.append(style.dim("    hash        \(event.hash)"))
            return lines.joined(separator: "\n")
        }.joined(separator: "\n") + "\n"
    }
}
