import Foundation

/// Everything that the engine's process is told, as one JSON argument.
package struct EngineSetup: Codable, Sendable {
    /// A run that is to exist. Starting it again finds the one that exists.
    package struct Start: Codable, Sendable, Hashable {
        package var workflow: String
        package var key: String
        /// JSON.
        package var input: String

        package init(_ workflow: String, key: String, input: some Encodable) throws {
            self.workflow = workflow
            self.key = key
            self.input = String(decoding: try JSONEncoder().encode(input), as: UTF8.self)
        }
    }

    package var store: String
    /// Addresses of the peer that honours idempotency keys and of the bank that does not.
    package var peer: String
    package var bank: String
    package var starts: [Start]
    package var crash: CrashRule?
    package var isDefended = true
    /// What the engine takes for the time, in microseconds since 1970. It then moves only when a later one comes as a line on standard
    /// input. nil is the system's clock.
    package var clock: Int64?
    /// What the engine records as its build.
    package var build = "demo"

    package init(store: String, peer: String, bank: String, starts: [Start], crash: CrashRule? = nil, isDefended: Bool = true) {
        self.store = store
        self.peer = peer
        self.bank = bank
        self.starts = starts
        self.crash = crash
        self.isDefended = isDefended
    }

    var json: String {
        get throws { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }
    }
}
