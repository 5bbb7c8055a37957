package import Logging
internal import PerdurePostgres
internal import PerdureSQLite
package import PerdureStore

/// Which store a command works on: a file, or a database on a server.
package struct StorePlace: Sendable, CustomStringConvertible {
    private let text: String
    /// Whether it is on a server, where any number of processes can host workflows at the same time.
    package let isShared: Bool

    /// - Parameter text: a path, or the URL of a database. What looks like a URL is no path, be it right or wrong: its password must not
    ///   be told as that of a file is.
    package init(_ text: String) {
        self.text = text
        let scheme = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "+.-".contains($0)) }
        isShared =
            !scheme.isEmpty && text[scheme.endIndex...].hasPrefix("://")
            || ["postgres", "postgresql"].contains(scheme.lowercased()) && text[scheme.endIndex...].hasPrefix(":")
    }

    /// How people are told of it: without a password.
    package var description: String { isShared ? PostgresURL.legible(text) : text }

    package var configuration: StoreConfiguration { isShared ? .postgres(text) : .sqlite(text) }

    /// The same with a logger that is told when something about the store should be looked at.
    package func configuration(logger: Logger) -> StoreConfiguration {
        isShared ? .postgres(text, logger: logger) : .sqlite(text, logger: logger)
    }

    /// The text with every place in it that stands among these words shown as people are told of it.
    static func conceal(_ words: [String], in text: String) -> String {
        words.reduce(text) { text, word in
            // `--store=URL` is one word.
            let value = word.hasPrefix("-") ? word.firstIndex(of: "=").map { String(word[word.index(after: $0)...]) } : word
            guard let value, StorePlace(value).isShared else { return text }
            return text.replacing(value, with: StorePlace(value).description)
        }
    }
}
