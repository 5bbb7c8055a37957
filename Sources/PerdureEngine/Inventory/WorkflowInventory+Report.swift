public import Foundation

extension WorkflowInventory {
    /// As JSON with sorted keys, which are named as in all reports: `is_tried`. A decoder with `convertFromSnakeCase` reads it.
    public var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(self)
        }
    }

    /// The whole inventory as a page of Markdown.
    public var markdown: String {
        var lines = ["# What cannot survive an interruption unaided", ""]
        lines += ["| workflow | version | owner | tried | runs | steps | findings |", "|---|---|---|---|---|---|---|"]
        for entry in entries {
            let owner = entry.isRegistered ? entry.owner ?? "**none**" : "its code is not here"
            lines.append(
                "| \(Self.cell(entry.workflow)) | \(Self.cell(entry.version)) | \(Self.cell(owner)) | \(entry.isTried ? "yes" : "no") "
                    + "| \(entry.runs) | \(entry.steps.count) | \(entry.findings.count) |")
        }
        for entry in entries where !entry.findings.isEmpty {
            lines += ["", "## \(entry.workflow) \(entry.version)", ""]
            lines += entry.findings.map { "- `\($0.kind.rawValue)` \($0.stopsRuns ? "**Stops runs.** " : "")\($0.message)" }
        }
        if isClean { lines += ["", "Nothing: every run gets through by itself."] }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func cell(_ text: String) -> String { text.replacingOccurrences(of: "|", with: "\\|") }
}
