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
    package let health: ListenAddress
    /// Where the API and the page are served; nil for nowhere.
    package let api: APIConfiguration?
    /// Where webhooks may be sent.
    package let hookTargets: HookTargets
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
                guard case .text(let text) = value, let address = ListenAddress(text) else {
                    throw Refusal("has to be an address and a port, such as \"127.0.0.1:7433\" or \"[::1]:7433\"")
                }
                guard address.isLoopback || isExposed else {
                    throw Refusal(
                        "is not of this machine alone: whoever reaches it could read how the store stands. If that is meant, set "
                            + "'\(Setting.healthExposed.key)' to true as well")
                }
                return address
            } ?? .standard
        api = try APIConfiguration(settings)
        hookTargets = settings[.hooksPrivate].value == .yesOrNo(true) ? .alsoPrivate : .everybodys
        logLevel = settings.text(.logLevel).flatMap { Logger.Level(rawValue: $0) } ?? .info
        shutdownPatience = settings.span(.shutdownPatience) ?? .seconds(30)
    }
}
