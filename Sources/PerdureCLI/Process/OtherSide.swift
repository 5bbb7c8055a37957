package import Foundation
import Logging
package import PerdurePeer

/// The services that the example workflows call: a peer that honours idempotency keys, and a bank that does not.
package struct OtherSide: Sendable {
    package let peer: PeerService
    package let bank: PeerService
    package let peerAddress: String
    package let bankAddress: String

    /// Serves both on this machine as long as the body runs. What they know they keep in the folder.
    ///
    /// - Throws: What the body throws, or what keeps the services from being served.
    package static func run<Result: Sendable>(
        in folder: URL, _ body: @escaping @Sendable (OtherSide) async throws -> Result
    ) async throws -> Result {
        let peer = try service(folder.appending(path: "peer.db")), bank = try service(folder.appending(path: "bank.db"))
        var keyless = Behaviour()
        keyless.keys = .ignore
        for group in ["payments", "directory"] { try await bank.ledger.setBehaviour(keyless, of: .group(group)) }
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            let peerAddress = try await serve(peer, in: &group), bankAddress = try await serve(bank, in: &group)
            let other = OtherSide(peer: peer, bank: bank, peerAddress: peerAddress, bankAddress: bankAddress)
            group.addTask { try await body(other) }
            defer { group.cancelAll() }
            while let next = try await group.next() { if let next { return next } }
            throw CancellationError()
        }
    }

    private static func service(_ ledger: URL) throws -> PeerService {
        var configuration = PeerConfiguration(databasePath: ledger.path)
        // Connections that a killed engine leaves behind are no news here.
        configuration.logger.logLevel = .critical
        return try PeerService(configuration: configuration)
    }

    private static func serve<Result: Sendable>(
        _ service: PeerService, in group: inout ThrowingTaskGroup<Result?, any Error>
    ) async throws -> String {
        let (ports, continuation) = AsyncThrowingStream<Int, any Error>.makeStream()
        group.addTask {
            do {
                try await service.run { continuation.yield($0) }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
                throw error
            }
            return nil
        }
        for try await port in ports { return "http://127.0.0.1:\(port)" }
        throw CancellationError()
    }
}
