internal import Configuration
internal import Foundation
internal import PerdureHistory

/// One thing about `perdure serve` that can be set: by a flag, by a variable of the environment, or in the file, in this order.
package struct Setting: Sendable, Hashable {
    /// What a value has to be.
    package enum Kind: Sendable, Hashable {
        case text
        /// Several names; in flags and variables with commas between them.
        case names
        /// A whole number in this range.
        case number(ClosedRange<Int>)
        case yesOrNo
        /// A whole number and `s`, `m`, `h` or `d`, of at least so many seconds.
        case span(atLeast: Int64)
        /// One of these words.
        case word([String])
    }

    /// With dots, as the file nests it.
    package let key: String
    package let kind: Kind
    /// What holds if nobody says anything, as it would be written; nil where that is nothing.
    package let standard: String?

    /// Its flag on the command line.
    package var flag: String { "--" + key.replacing(".", with: "-") }
    /// Its variable in the environment.
    package var variable: String { "PERDURE_" + key.uppercased().replacing(".", with: "_") }
    var path: [String] { key.split(separator: ".").map(String.init) }

    /// What it expects, for messages.
    package var expectation: String {
        switch kind {
        case .text: "a text"
        case .names: "a list of names"
        case .number(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .yesOrNo: "true or false"
        case .span(let least): "a length of time of at least \(least) s, such as \"90s\", \"15m\", \"12h\" or \"30d\""
        case .word(let words): "one of " + words.joined(separator: ", ")
        }
    }

    private init(_ key: String, _ kind: Kind, _ standard: String? = nil) {
        self.key = key
        self.kind = kind
        self.standard = standard
    }

    package static let store = Setting("store", .text, "perdure.db")
    package static let namespaces = Setting("namespaces", .names)
    package static let node = Setting("node", .text)
    package static let retentionClosed = Setting("retention.closed", .span(atLeast: 1))
    package static let retentionTombstones = Setting("retention.tombstones", .span(atLeast: 1))
    package static let archiveFolder = Setting("archive.folder", .text)
    package static let verificationRound = Setting("verification.round", .span(atLeast: 1), "1d")
    package static let verificationRate = Setting("verification.rate", .number(0...1_000_000), "1000")
    package static let healthAddress = Setting("health.address", .text, "127.0.0.1:7433")
    package static let healthExposed = Setting("health.exposed", .yesOrNo, "false")
    package static let apiAddress = Setting("api.address", .text)
    package static let apiURL = Setting("api.url", .text)
    package static let apiAccess = Setting("api.access", .text)
    package static let apiRate = Setting("api.rate", .number(1...1_000_000), "100")
    package static let tlsCertificate = Setting("tls.certificate", .text)
    package static let tlsKey = Setting("tls.key", .text)
    package static let tlsClients = Setting("tls.clients", .text)
    package static let hooksPrivate = Setting("hooks.private", .yesOrNo, "false")
    package static let logLevel = Setting(
        "log.level", .word(["trace", "debug", "info", "notice", "warning", "error", "critical"]), "info")
    package static let shutdownPatience = Setting("shutdown.patience", .span(atLeast: 1), "30s")

    /// All there are, in the order in which they are shown.
    package static let all = [
        store, namespaces, node, retentionClosed, retentionTombstones, archiveFolder, verificationRound, verificationRate,
        healthAddress,
        healthExposed, apiAddress, apiURL, apiAccess, apiRate, tlsCertificate, tlsKey, tlsClients, hooksPrivate, logLevel,
        shutdownPatience,
    ]

    /// Which file is read: said by a flag or a variable, and so no setting itself.
    package static let fileFlag = "--config", fileVariable = "PERDURE_CONFIG"
}
