import Foundation
import PerdureHistory
import PerdurePostgres
import PerdureStore
import Synchronization
import Testing

@testable import PerdureCLI

/// A real server that is started again under nodes. Their time is the test's.
@Suite(.serialized, .timeLimit(.minutes(5))) struct RestartTests {
    private static let nodes = (1...3).map { NodeID(rawValue: "node-\($0)") }

    @Test(arguments: [false, true])
    func `after a start of the server a node waits for those that come back, and a lease for one that does not`(
        isKilled: Bool
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-restart-\(UUID().uuidString)")
        let password = "restart", port = try PostgresServer.freePort()
        // The server's user has to get through to its own folder.
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let server = PostgresServer(
            try PostgresPrograms(), folder: folder.appending(path: "server"), port: port, password: password)
        defer {
            server.remove()
            try? FileManager.default.removeItem(at: folder)
        }
        try await server.make()
        try await server.start()
        let time = Mutex(Timestamp(microseconds: 1_770_000_000_000_000))
        var options = PostgresOptions()
        options.clock = { time.withLock { $0 } }
        var stores: [PostgresStore] = []
        for node in Self.nodes {
            let url = "postgres://\(PostgresServer.user):\(password)@127.0.0.1:\(port)/postgres"
            let store = try await PostgresStore.open(url, role: .engine, options: options)
            try await store.register(NodeRegistration(id: node, build: "b", host: "h", processID: 1))
            stores.append(store)
        }
        try await expectAwaited([], by: stores[0])
        // As if it had died.
        await stores[2].close()
        if isKilled { server.kill() } else { server.stop() }
        try await server.start()
        try await renew(stores[0], Self.nodes[0])
        try await expectAwaited([Self.nodes[1], Self.nodes[2]], by: stores[0])
        try await renew(stores[1], Self.nodes[1])
        try await expectAwaited([Self.nodes[2]], by: stores[0])
        for _ in 0..<6 {
            time.withLock { $0 = $0 + .seconds(3) }
            for place in 0...1 { try await renew(stores[place], Self.nodes[place]) }
        }
        for place in 0...1 { try await expectAwaited([], by: stores[place], as: Self.nodes[place]) }
        #expect(try await stores[0].nodes().map(\.registration.id) == Array(Self.nodes.prefix(2)))
        #expect(try await stores[0].restoration() == nil)
        for store in stores.prefix(2) { await store.close() }
    }

    /// Its first try may find a link that was cut.
    private func renew(_ store: PostgresStore, _ node: NodeID) async throws {
        for _ in 0..<20 {
            do throws(StoreError) {
                _ = try await store.renew(node)
                return
            } catch {
                switch error {
                case .unavailable, .outcomeUnknown: continue
                default: throw error
                }
            }
        }
        Issue.record("the server does not answer")
    }

    private func expectAwaited(_ expected: [NodeID], by store: PostgresStore, as node: NodeID = nodes[0]) async throws {
        var awaited: [NodeID] = []
        for _ in 0..<20 {
            do throws(StoreError) {
                _ = try await store.claim(ClaimRequest(node: node, build: "b", hosted: [], limit: 1))
            } catch {
                switch error {
                case .unavailable, .outcomeUnknown: continue
                case .awaitsNodes(let nodes): awaited = nodes
                default: throw error
                }
            }
            break
        }
        #expect(awaited == expected)
        #expect(try await store.nodes().filter(\.isAwaited).map(\.registration.id) == expected)
    }
}
