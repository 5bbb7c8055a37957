internal import AsyncHTTPClient
internal import Foundation
internal import Logging
internal import NIOCore
internal import Perdure
internal import PerdureHistory
internal import ServiceLifecycle
internal import Synchronization

/// The rules that hold now: those of the file, as it was when it could be used last.
final class Access: Sendable {
    private static let pause = Duration.seconds(5)
    private static let largestFile = 4 << 20

    private struct State {
        var rules: AccessRules
        /// By the address of each.
        var issuers: [String: Issuer]
        /// What the file held at the last look.
        var bytes: [UInt8]
        /// What was said of it last.
        var problem: String?
    }

    private let path: String?
    private let http: HTTPClient
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameter path: nil if there is no file: then tokens alone are good for something.
    /// - Throws: `PerdureError` with `configuration_invalid` if the file cannot be used.
    init(path: String?, http: HTTPClient, now: @escaping @Sendable () -> Timestamp, logger: Logger) throws {
        self.path = path
        self.http = http
        self.now = now
        self.logger = logger
        let bytes = try path.map(Self.read) ?? []
        let rules = try path.map { try AccessRules(bytes, path: $0) } ?? .none
        state = Mutex(State(rules: rules, issuers: Self.issuers(of: rules, keeping: [:], http, now, logger), bytes: bytes))
    }

    var rules: AccessRules { state.withLock { $0.rules } }

    func issuer(_ address: String) -> Issuer? { state.withLock { $0.issuers[address] } }
    func issuer(named name: String) -> Issuer? { state.withLock { state in state.issuers.values.first { $0.rule.name == name } } }

    /// Looks at the file again and again, until it is cancelled or the process ends.
    func run() async {
        guard path != nil else { return }
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: Self.pause)
                self.reload()
            }
        }
    }

    /// Takes in what the file says now. One that cannot be used changes nothing: who was let in still is, and nobody else.
    func reload() {
        guard let path else { return }
        do {
            let bytes = try Self.read(path)
            guard bytes != state.withLock({ $0.bytes }) else { return }
            let rules = try AccessRules(bytes, path: path)
            state.withLock { state in
                let issuers = Self.issuers(of: rules, keeping: state.issuers, http, now, logger)
                state = State(rules: rules, issuers: issuers, bytes: bytes)
            }
            logger.notice("who may what was read anew", metadata: ["file": "\(path)", "grants": "\(rules.grants.count)"])
        } catch {
            let problem = (error as? PerdureError)?.message ?? "\(error)"
            let isKnown = state.withLock { state in
                defer { state.problem = problem }
                return state.problem == problem
            }
            guard !isKnown else { return }
            logger.error("who may what cannot be read; what held before holds on", metadata: ["error": "\(problem)"])
        }
    }

    private static func read(_ path: String) throws -> [UInt8] {
        do {
            let bytes = Array(try Data(contentsOf: URL(filePath: path)))
            guard bytes.count <= largestFile else { throw CocoaError(.fileReadTooLarge) }
            return bytes
        } catch {
            throw PerdureError(
                .configurationInvalid, "\(path), which '\(Setting.apiAccess.key)' names, cannot be read.", cause: error)
        }
    }

    /// One that is believed as before keeps the keys that were had.
    private static func issuers(
        of rules: AccessRules, keeping old: [String: Issuer], _ http: HTTPClient, _ now: @escaping @Sendable () -> Timestamp,
        _ logger: Logger
    ) -> [String: Issuer] {
        var issuers: [String: Issuer] = [:]
        for rule in rules.issuers {
            issuers[rule.address] =
                old[rule.address].flatMap { $0.rule == rule ? $0 : nil } ?? Issuer(rule, http: http, now: now, logger: logger)
        }
        return issuers
    }
}
