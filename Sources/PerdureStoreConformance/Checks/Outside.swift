internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let outside: [ConformanceCheck] = [
        ConformanceCheck("Another process starts runs and delivers beside the engine") { scene in
            let client = try await scene.client()
            let given = SampleRun(key: "k")
            guard case .created(let record) = try await client.commit([given.creation]).first else {
                Issue.record("the client could not create")
                return
            }
            var run = given
            run.record = record
            #expect(try await scene.store.run(record.id) == record)
            try await scene.deliver(to: run, id: "d", through: client)
            #expect(try await scene.store.inbox(run: run.number).map(\.delivery.id) == ["d"])
            #expect(try await scene.claim().map(\.record.number) == [run.number])
            #expect(client.identity == scene.store.identity)
        },
        ConformanceCheck("Another process reads what the engine has written") { scene in
            var run = try await scene.owned(key: "k")
            let client = try await scene.client()
            try await scene.advance(run.advance([EventDraft(.stepSucceeded, subject: "a")]))
            #expect(try await client.events(of: run.number, after: 0, limit: 10) == run.events)
            #expect(try await client.run(namespace: "default", workflow: "greeting", key: "k") == run.record)
            #expect(try await client.audit().isEmpty)
        },
        ConformanceCheck("Another process can own no run") { scene in
            var run = try await scene.owned()
            let client = try await scene.client()
            await #expect(throws: StoreError.self) { try await client.register(Scene.registration(NodeID(rawValue: "node-9"))) }
            await #expect(throws: StoreError.self) {
                try await client.claim(ClaimRequest(node: scene.node, build: "b1", hosted: Scene.hosted, limit: 1))
            }
            let results = try await client.commit([
                .advance(run.advance([EventDraft(.statusReported)])), SampleRun(owner: scene.node).creation,
            ])
            for result in results {
                guard case .refused(.conflict) = result else { throw Unexpected("a client's commit", result) }
            }
        },
        ConformanceCheck("The bell rings after another process has delivered") { scene in
            let run = try await scene.waiting()
            let (rings, ring) = AsyncStream.makeStream(of: Void.self)
            scene.store.onOutsideDelivery { ring.yield() }
            // A commit of its own, after which the bell has certainly looked once: it compares with what it saw before.
            _ = try await scene.owned()
            let client = try await scene.client()
            try await scene.deliver(to: run, id: "d", through: client)
            for await _ in rings {
                if try await scene.claim().map(\.record.number) == [run.number] { break }
            }
        },
        ConformanceCheck("Two processes that write at once lose nothing") { scene in
            let run = try await scene.owned()
            let client = try await scene.client()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (name, store) in [("engine", scene.store), ("client", client)] {
                    group.addTask {
                        for number in 0..<50 { try await scene.deliver(to: run, id: "\(name) \(number)", through: store) }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await scene.store.inbox(run: run.number).count == 100)
        },
        ConformanceCheck("A closed store says so") { scene in
            let client = try await scene.client()
            await client.close()
            await #expect(throws: StoreError.self) { try await client.counts(namespace: nil) }
            await #expect(throws: StoreError.self) { try await client.commit([SampleRun().creation]) }
        },
    ]
}
