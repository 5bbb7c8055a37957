internal import Foundation
internal import Perdure
internal import PerdureHistory

/// A JSON value as it is given on a command line: the text itself, `@file`, or `-` for standard input.
enum JSONArgument {
    static func read(_ text: String, option: String, _ environment: CommandEnvironment) throws -> Data {
        let bytes: Data
        if text == "-" {
            bytes = try environment.readInput()
        } else if text.hasPrefix("@") {
            let path = String(text.dropFirst())
            guard let content = FileManager.default.contents(atPath: path) else {
                throw PerdureError(.usage, "The file '\(path)' given with \(option) cannot be read.")
            }
            bytes = content
        } else {
            bytes = Data(text.utf8)
        }
        do {
            _ = try JSONValue.parse(Array(bytes), what: option)
        } catch {
            guard case .notDecodable(_, _, _, let reason) = error else { throw error }
            throw PerdureError(.usage, "The value of \(option) is not JSON: \(reason). A text needs its quotes: '\"text\"'.")
        }
        return bytes
    }
}
