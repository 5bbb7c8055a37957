internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let takeover: [ConformanceCheck] = [
        ConformanceCheck("A dead node's run is taken over with run.resumed in the same claim, on a valid chain") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance([EventDraft(.stepSucceeded, subject: "a")]))
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir, build: "b2")
            let claimed = try #require(try await scene.claim(build: "b2", as: heir).first)
            #expect(claimed.isTakeover && claimed.previous == .running)
            #expect(claimed.record.owner == heir && claimed.record.epoch == run.record.epoch + 1)
            let history = try await scene.history(run)
            let resumed = try #require(history.last)
            #expect(
                history.dropLast() == run.events[...] && resumed.kind == .runResumed && claimed.head == ChainHead(after: resumed))
            #expect(try resumed.attributes.object() == ["build": "b2", "node": "node-2", "clean": false])
            let start = ChainHead.start(namespace: run.record.namespace, run: run.record.id.description)
            try EventChain.verify(history, run: run.record.id.description, from: start)
        },
        ConformanceCheck("A taken over run goes on from the head that the claim gave") { scene in
            var run = try await scene.owned()
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            run.take(over: try #require(try await scene.claim(as: heir).first))
            try await scene.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
        },
        ConformanceCheck("The owner before is refused once another node is registered, and after the take-over") { scene in
            var run = try await scene.owned()
            let heir = NodeID(rawValue: "node-2")
            try await scene.store.register(Scene.registration(heir))
            var zombie = run
            #expect(try await scene.refusal(of: .advance(zombie.advance([EventDraft(.statusReported)]))) == .conflict)
            _ = try await scene.claim(as: heir)
            #expect(try await scene.refusal(of: .advance(run.advance([EventDraft(.statusReported)]))) == .conflict)
        },
        ConformanceCheck("A run that was released before its node ended is no take-over") { scene in
            _ = try await scene.resting(.init(to: .ready))
            try await scene.store.unregister(scene.node)
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            let claimed = try #require(try await scene.claim(as: heir).first)
            #expect(!claimed.isTakeover)
        },
        ConformanceCheck("Runs of a dead node wait for a node that hosts them, however often others register") { scene in
            let run = try await scene.owned("farewell")
            for number in 2...4 {
                let node = NodeID(rawValue: "node-\(number)")
                try await scene.restart(as: node)
                #expect(try await scene.claim(as: node).isEmpty)
            }
            let heir = NodeID(rawValue: "node-5")
            try await scene.restart(as: heir)
            let claimed = try await scene.claim(hosted: [.init(workflow: "farewell", version: "1")], as: heir)
            #expect(claimed.map(\.record.number) == [run.number] && claimed.allSatisfy(\.isTakeover))
        },
        ConformanceCheck("Every run of a dead node is taken over, in batches") { scene in
            var runs: Set<Int64> = []
            for _ in 0..<25 { runs.insert(try await scene.owned().number) }
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            var taken: [Int64] = []
            for _ in 0..<3 { taken += try await scene.claim(10, as: heir).map(\.record.number) }
            #expect(taken.count == 25 && Set(taken) == runs)
        },
        ConformanceCheck("Registering the same node again takes nothing from it") { scene in
            var run = try await scene.owned()
            try await scene.store.register(Scene.registration(scene.node))
            #expect(try await scene.claim().isEmpty)
            try await scene.advance(run.advance([EventDraft(.statusReported)]))
        },
        ConformanceCheck("A terminate reaches a dead node's run that nobody hosts") { scene in
            let run = try await scene.owned("farewell")
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            try await scene.deliver(.terminate, to: run, id: "t", name: "")
            #expect(try await scene.claim(as: heir).map(\.isTakeover) == [true])
        },
    ]
}
