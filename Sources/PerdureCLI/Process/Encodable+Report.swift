import Foundation

extension Encodable {
    /// One JSON object as the commands print it with `--json`.
    var reportJSON: String {
        get throws { try reportJSON([.prettyPrinted, .sortedKeys]) }
    }

    /// The same in one line, for a tool that others read the end of.
    var reportLine: String {
        get throws { try reportJSON(.sortedKeys) }
    }

    private func reportJSON(_ formatting: JSONEncoder.OutputFormatting) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = formatting
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
