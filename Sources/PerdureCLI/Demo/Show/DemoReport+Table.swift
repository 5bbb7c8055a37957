import Foundation

// The end of the show, for people.
extension DemoReport {
    func table(colour: Bool) -> String {
        var lines = [""]
        lines += ["Counted at the other side                   wanted  requests  happened"]
        lines += [rule]
        for (name, figures) in operations.sorted(by: { $0.key < $1.key }) {
            lines.append(pad(name, 44) + right(figures.wanted, 6) + right(figures.requests, 10) + right(figures.counted, 10))
        }
        lines += [rule]
        let requests = operations.values.reduce(0) { $0 + $1.requests }
        lines.append(pad("all effects", 44) + right(effectsWanted, 6) + right(requests, 10) + right(effectsCounted, 10))
        lines += ["", "The engine was killed with SIGKILL", rule]
        for boundary in Boundary.allCases {
            lines.append(pad(boundary.title, 44) + right(killsByBoundary[boundary.rawValue, default: 0], 6))
        }
        lines += [rule, pad("all kills", 44) + right(kills, 6), "", "And went on", rule]
        lines.append(pad("runs closed, of \(runs)", 44) + right(runsFinished, 6))
        lines.append(pad("runs taken over from a dead process", 44) + right(resumed, 6))
        lines.append(pad("steps sent again under the same key", 44) + right(stepsResumed, 6))
        lines.append(pad("steps in doubt", 44) + right(inDoubt, 6))
        for (name, count) in settled.sorted(by: { $0.key < $1.key }) {
            lines.append(pad("  \(Self.words(name))", 44) + right(count, 6))
        }
        lines.append(pad("histories whose hash chain holds, of \(runs)", 44) + right(historiesVerified, 6))
        lines += [rule, "", verdict(colour: colour), ""]
        return lines.joined(separator: "\n")
    }

    private var rule: String { String(repeating: "─", count: 70) }

    private func verdict(colour: Bool) -> String {
        let time = String(format: "%.0f", seconds)
        let text =
            isGood
            ? "\(effectsWanted) effects wanted, \(effectsCounted) counted: 0 duplicates, 0 lost, after \(kills) kills in \(time) seconds."
            : "\(effectsWanted) effects wanted, \(effectsCounted) counted: \(duplicates) duplicates, \(lost) lost, after \(kills) kills"
                + (missed.isEmpty ? "" : "; missed: \(missed.joined(separator: ", "))") + "."
        return colour ? "\u{1B}[1;\(isGood ? "32" : "31")m\(text)\u{1B}[0m" : text
    }

    private static func words(_ settled: String) -> String {
        switch settled {
        case "probe_happened": "the probe found that it had happened"
        case "probe_did_not_happen": "the probe found that it had not"
        case "person_happened": "a person found that it had happened"
        case "person_did_not_happen": "a person found that it had not"
        default: settled.replacingOccurrences(of: "_", with: " ")
        }
    }

    private func pad(_ text: String, _ width: Int) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }

    private func right(_ number: Int, _ width: Int) -> String {
        let text = String(number)
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
