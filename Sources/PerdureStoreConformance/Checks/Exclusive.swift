internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// For stores that one engine at a time has open: whoever opens one knows that every node before is dead.
    package static let exclusive: [ConformanceCheck] = [
        ConformanceCheck("A second engine is refused while the first lives, and welcome after it") { scene in
            let error = await #expect(throws: StoreError.self) { try await scene.harness.open(.engine).close() }
            guard case .unusable(.storeLocked, _) = error else {
                Issue.record("refused with \(String(describing: error))")
                return
            }
            try await scene.restart(as: NodeID(rawValue: "node-2"))
        },
        ConformanceCheck("A node lives as long as its process, and says what it hosts") { scene in
            let client = try await scene.client()
            #expect(try await scene.store.livingNodes() == [Scene.registration(scene.node)])
            #expect(try await client.livingNodes() == [Scene.registration(scene.node)])
            await scene.store.close()
            #expect(try await client.livingNodes().isEmpty)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            #expect(try await client.livingNodes().map(\.id.rawValue) == ["node-2"])
            try await scene.store.unregister(NodeID(rawValue: "node-2"))
            #expect(try await client.livingNodes().isEmpty)
            try await scene.restart(as: NodeID(rawValue: "node-3"))
        },
    ]
}
