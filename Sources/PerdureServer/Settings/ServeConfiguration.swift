package import Logging
internal import Perdure
package import PerdureCommands

/// How `perdure serve` works.
package struct ServeConfiguration: Sendable {
    package let store: StorePlace
    /// The namespaces whose schedules are kept and whose histories are verified; nil for all.
    package let namespaces: Set<String>?
    /// What the process is called where nodes are listed.
    package let node: String?
    /// How long histories of closed runs are kept; nil for ever.
    package let retention: Duration?
    package let tombstoneRetention: Duration?
    /// Where histories are put before they are removed, in namespaces that are archived; nil for nowhere.
    package let archiveFolder: String?
    /// In which time every history is verified once, as far as the rate allows.
    package let verificationRound: Duration
    /// How many events a second are read for that; 0 for none.
    package let verificationRate: Int
    package let health: HealthAddress
    package let logLevel: Logger.Level
    package let shutdownPatience: Duration

    /// - Throws: `PerdureError` with `configuration_invalid` for values that cannot be.
    package init(_ settings: Settings) throws {
        store = StorePlace(settings.text(.store) ?? "perdure.db")
        namespaces = try settings.checked(.namespaces) { value in
            guard case .names(let names) = value else { return nil }
            guard names.allSatisfy(Name.isIdentifier) else {
                throw Refusal("has to be a list of namespaces: 1 to 128 letters, digits, '-', '_' and '.'")
            }
            return Set(names)
        }
        node = try settings.checked(.node) { value in
            guard case .text(let name) = value else { return nil }
            guard Name.isKey(name) else { throw Refusal("has to be a text of 1 to 256 bytes without control characters") }
            return name
        }
        retention = settings.span(.retentionClosed)
        tombstoneRetention = settings.span(.retentionTombstones)
        archiveFolder = settings.text(.archiveFolder)
        verificationRound = settings.span(.verificationRound) ?? .days(1)
        verificationRate = settings.number(.verificationRate) ?? 0
        let isExposed = settings[.healthExposed].value == .yesOrNo(true)
        health =
            try settings.checked(.healthAddress) { value in
                guard case .text(let text) = value, let address = HealthAddress(text) else {
                    throw Refusal("has to be an address and a port, such as \"127.0.0.1:7433\" or \"[::1]:7433\"")
                }
                guard address.isLoopback || isExposed else {
                    throw Refusal(
                        "is not of this machine alone: whoever reaches it could read how the store stands. If that is meant, set "
                            + "'\(Setting.healthExposed.key)' to true as well")
                }
                return address
            } ?? .standard
        logLevel = settings.text(.logLevel).flatMap { Logger.Level(rawValue: $0) } ?? .info
        shutdownPatience = settings.span(.shutdownPatience) ?? .seconds(30)
    }
}

/// Where the health of the process can be asked for.
package struct HealthAddress: Sendable, Hashable, CustomStringConvertible {
    package let host: String
    /// 0 for any that is free.
    package let port: Int

    static let standard = HealthAddress(host: "127.0.0.1", port: 7_433)

    private init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        let isClean = host.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ":")
        }
        guard !host.isEmpty, isClean else { return nil }
        self.init(host: String(host), port: Int(port))
    }

    /// A name may lead anywhere, but for this one.
    package var isLoopback: Bool {
        if host == "::1" || host == "localhost" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Why a value that has the right type cannot be.
private struct Refusal: Error {
    let what: String
    init(_ what: String) { self.what = what }
}

extension Settings {
    fileprivate func text(_ setting: Setting) -> String? {
        if case .text(let text) = self[setting].value { text } else { nil }
    }

    fileprivate func number(_ setting: Setting) -> Int? {
        if case .number(let number) = self[setting].value { number } else { nil }
    }

    fileprivate func span(_ setting: Setting) -> Duration? {
        if case .span(let span, _) = self[setting].value { span } else { nil }
    }

    fileprivate func checked<Result>(_ setting: Setting, _ make: (Value) throws -> Result?) throws -> Result? {
        let entry = self[setting]
        guard let value = entry.value else { return nil }
        do {
            return try make(value)
        } catch let refusal as Refusal {
            throw setting.refused(entry.origin, refusal.what)
        }
    }
}
