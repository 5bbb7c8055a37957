import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
package import PerdureEngine
package import PerdurePeer
import PerdureProcess
import PerdureSQLite

/// What a story is played on: a store and the other side.
package struct Stage: Sendable {
    package let store: String
    package let other: OtherSide
    package let executable: String
    package let isDefended: Bool

    package var peer: PeerService { other.peer }
    package var bank: PeerService { other.bank }
    package var peerAddress: String { other.peerAddress }
    package var bankAddress: String { other.bankAddress }

    /// Sets the stage in a temporary folder, and clears it afterwards.
    package static func run<Result: Sendable>(
        executable: String = LineProcess.ownExecutable, isDefended: Bool = true,
        _ body: @escaping @Sendable (Stage) async throws -> Result
    ) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-demo-\(UUID().uuidString.lowercased())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = folder.appending(path: "perdure.db").path
        return try await OtherSide.run(in: folder) { other in
            try await body(Stage(store: store, other: other, executable: executable, isDefended: isDefended))
        }
    }

    /// Starts an engine.
    package func engine(
        _ starts: [EngineSetup.Start], crash: CrashRule? = nil, clock: Int64? = nil, build: String = "demo"
    ) throws -> EngineProcess {
        var setup = EngineSetup(
            store: store, peer: peerAddress, bank: bankAddress, starts: starts, crash: crash, isDefended: isDefended)
        setup.clock = clock
        setup.build = build
        return try EngineProcess(executable: executable, setup)
    }

    /// Opens the store beside the engine, as an operator's tool does.
    package func client() async throws -> Client { try await Client(.sqlite(store)) }

    /// Waits until the peer holds a request for this operation: its effect has happened, and no answer was given.
    package func untilHeld(_ operation: PeerOperation) async throws {
        try await wait(peer, "operation=\(operation.rawValue)&held=1")
    }

    /// Waits until so many effects are counted: a request that a dead process has sent may still be on its way.
    package func untilEffects(_ count: Int, _ operation: PeerOperation, at service: PeerService) async throws {
        try await wait(service, "operation=\(operation.rawValue)&effects=\(count)")
    }

    private func wait(_ service: PeerService, _ query: String) async throws {
        let request = HTTPClientRequest(url: "\(service === bank ? bankAddress : peerAddress)/_peer/wait?\(query)")
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        guard response.status == .ok else { throw DemoError("waited in vain for \(query)") }
    }

    /// Makes the peer keep its answers to this operation back, or stop doing so.
    package func hold(_ operation: PeerOperation, _ isHeld: Bool) async throws {
        var behaviour = try await peer.ledger.behaviour(of: .operation(operation))
        behaviour.hold = isHeld
        try await peer.ledger.setBehaviour(behaviour, of: .operation(operation))
    }
}

/// Why the demo could not be shown.
package struct DemoError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
