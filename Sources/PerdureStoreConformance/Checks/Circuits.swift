internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// The circuits that nodes share. For stores whose nodes have leases.
    package static let sharedCircuits: [ConformanceCheck] = [
        ConformanceCheck("A circuit that is open is there for every node, whatever becomes of the one that has opened it") {
            scene in
            let row = scene.circuit("bank", stamp: 1), probed = scene.circuit("Ä mail", stamp: .min, by: scene.node)
            #expect(try await scene.store.circuits(namespace: "default") == [])
            for row in [probed, row] { try await scene.make(CircuitChange(row.key, on: nil, to: row)) }
            let other = try await scene.join(as: NodeID(rawValue: "node-2"))
            #expect(try await other.circuits(namespace: "default") == [row, probed])
            try await scene.restart(as: NodeID(rawValue: "node-3"))
            #expect(try await scene.store.circuits(namespace: "default") == [row, probed])
        },
        ConformanceCheck("A circuit that is closed leaves no row, and one of another namespace is another one") { scene in
            let row = scene.circuit("bank", stamp: 7), other = scene.circuit("bank", stamp: 8, in: "other")
            for row in [row, other] { try await scene.make(CircuitChange(row.key, on: nil, to: row)) }
            #expect(try await scene.store.circuits(namespace: "other") == [other])
            try await scene.make(CircuitChange(row.key, on: 7, to: nil))
            #expect(try await scene.store.circuits(namespace: "default") == [])
            #expect(try await scene.store.circuits(namespace: "other") == [other])
        },
        ConformanceCheck("Of several changes of a circuit that stand on one stamp one is made") { scene in
            let first = scene.circuit("bank", stamp: 1), second = scene.circuit("bank", stamp: 2, by: scene.node)
            let late = scene.circuit("bank", stamp: 3), key = first.key, store = scene.store
            try await scene.make(CircuitChange(key, on: nil, to: first))
            // Its answer was lost: the same is said again.
            try await scene.make(CircuitChange(key, on: nil, to: first))
            #expect(try await store.setCircuit(CircuitChange(key, on: nil, to: late)) == .refused(first))
            try await scene.make(CircuitChange(key, on: 1, to: second))
            try await scene.make(CircuitChange(key, on: 1, to: second))
            #expect(try await store.setCircuit(CircuitChange(key, on: 1, to: late)) == .refused(second))
            #expect(try await store.setCircuit(CircuitChange(key, on: 1, to: nil)) == .refused(second))
            #expect(try await store.setCircuit(CircuitChange(key, on: nil, to: nil)) == .refused(second))
            try await scene.make(CircuitChange(key, on: 2, to: nil))
            try await scene.make(CircuitChange(key, on: 2, to: nil))
            #expect(try await store.setCircuit(CircuitChange(key, on: 2, to: late)) == .refused(nil))
            #expect(try await store.circuits(namespace: "default") == [])
        },
        ConformanceCheck("Of nodes that want to try one resource at the same time one gets the leave") { scene in
            let other = try await scene.join(as: NodeID(rawValue: "node-2")), stores = [scene.store, other]
            let row = scene.circuit("bank", stamp: 1)
            try await scene.make(CircuitChange(row.key, on: nil, to: row))
            let answers = try await withThrowingTaskGroup(of: CircuitAnswer.self) { group in
                for number in 0..<8 {
                    let wish = scene.circuit("bank", stamp: Int64(10 + number), by: NodeID(rawValue: "node-\(number)"))
                    group.addTask { try await stores[number % 2].setCircuit(CircuitChange(wish.key, on: 1, to: wish)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count { $0 == .made } == 1)
            let current = try #require(try await scene.store.circuits(namespace: "default").first)
            #expect(answers.count { $0 == .refused(current) } == 7)
        },
        ConformanceCheck("Other nodes hear of a circuit that changes") { scene in
            let other = try await scene.join(as: NodeID(rawValue: "node-2"))
            let (rings, ring) = AsyncStream.makeStream(of: Void.self)
            other.onOutsideDelivery { ring.yield() }
            let row = scene.circuit("bank", stamp: 1)
            try await scene.make(CircuitChange(row.key, on: nil, to: row))
            for await _ in rings {
                if try await other.circuits(namespace: "default") == [row] { break }
            }
        },
        ConformanceCheck("What cannot be a circuit, and what no node says, is refused") { scene in
            let row = scene.circuit("bank", stamp: 1)
            let client = try await scene.client()
            await #expect(throws: StoreError.self) { try await client.setCircuit(CircuitChange(row.key, on: nil, to: row)) }
            for bad in [
                scene.circuit("", stamp: 1), scene.circuit("a\u{0}", stamp: 1), scene.circuit("bank", stamp: 1, in: "a/b"),
                scene.circuit("bank", stamp: 1, pause: .zero),
            ] {
                await #expect(throws: StoreError.self) {
                    try await scene.store.setCircuit(CircuitChange(bad.key, on: nil, to: bad))
                }
            }
            #expect(CircuitChange(row.key, on: 1, to: row).flaw != nil, "a change has a stamp of its own")
            #expect(try await scene.store.circuits(namespace: "default") == [])
        },
    ]
}

extension Scene {
    fileprivate func circuit(
        _ resource: String, stamp: Int64, in namespace: String = "default", by prober: NodeID? = nil,
        pause: Duration = .milliseconds(1)
    ) -> CircuitRow {
        CircuitRow(
            CircuitKey(namespace: namespace, resource: resource), stamp: stamp, until: clock.now + .seconds(30), pause: pause,
            prober: prober, changedAt: clock.now)
    }

    fileprivate func make(_ change: CircuitChange) async throws {
        let answer = try await store.setCircuit(change)
        guard answer == .made else { throw Unexpected("changing a circuit", answer) }
    }
}
