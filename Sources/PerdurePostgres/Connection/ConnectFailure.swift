internal import Foundation
internal import Perdure
internal import PerdureStore

/// Why there is no link to the server.
///
/// libpq tells it as text only. The server's part of that text has the code in it, since the link asks for it; libpq's own words are
/// those of its source, which it translates only for programs that set a locale.
struct ConnectFailure: Error, Hashable {
    /// What libpq said, in one line, with the code.
    let message: String
    let sqlState: String?
    /// Whether the server is one that cannot be written to.
    let isReadOnly: Bool

    init(_ text: String) {
        let lines = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty && !$0.hasPrefix("LOCATION:") }
        message = lines.joined(separator: " ").legible
        sqlState = lines.compactMap { $0.firstMatch(of: #/:  ([0-9A-Z]{5}): /#).map { String($0.output.1) } }.last
        isReadOnly =
            ["session is read-only", "server is in hot standby mode"].contains(where: text.contains) || sqlState == "25006"
    }

    /// Several servers were asked.
    init(_ failures: [ConnectFailure]) {
        message = failures.map(\.message).joined(separator: "; ")
        // Where one of them may yet take us, or become the one that can be written to, the others do not matter.
        let isFinal = failures.allSatisfy { $0.reason != nil && !$0.isReadOnly }
        sqlState = failures.count == 1 || isFinal ? failures.first?.sqlState : nil
        isReadOnly = failures.count == 1 && failures[0].isReadOnly
        reasonOfAll = isFinal ? failures.first?.reason : nil
        isOfSeveral = failures.count > 1
    }

    private var reasonOfAll: Reason?
    private var isOfSeveral = false

    private enum Reason: Hashable { case failure(String), encryption, password, settings }

    /// What will be the same the next time; nil if it may pass.
    private var reason: Reason? {
        if isOfSeveral { return reasonOfAll }
        if let sqlState { return ["28P01", "28000", "3D000", "42501", "25006"].contains(sqlState) ? .failure(sqlState) : nil }
        if isReadOnly { return .failure("25006") }
        if message.contains("no password supplied") { return .password }
        let encryption = [
            "server does not support SSL", "certificate verify failed", "root certificate file", "does not match host name",
            "server certificate", "certificate present", "private key file", "could not load",
        ]
        if encryption.contains(where: message.contains) { return .encryption }
        // A value that libpq does not know, of an option that it knows.
        if message.contains(#/invalid \S+ value: |invalid integer value |invalid port number|invalid connection option/#) {
            return .settings
        }
        return nil
    }

    var storeError: StoreError {
        switch reason {
        case nil: .unavailable("the server cannot be reached: \(message)")
        case .failure(let state): StoreError(ServerFailure(sqlState: state, message: message))
        case .password: .unusable(.storeRefused, "The server wants a password: \(message).")
        case .encryption:
            .unusable(
                .storeRefused,
                "There is no connection as safe as sslmode and the certificates demand: \(message). Set up TLS on the server, or correct them."
            )
        case .settings: .unusable(.usage, "The address of the server has a value that cannot be: \(message). Correct it.")
        }
    }
}
