internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// Nodes that say that they live. A store where something else proves it keeps these too.
    static let renewal: [ConformanceCheck] = [
        ConformanceCheck("A node that renews stays as it is") { scene in
            var run = try await scene.owned()
            for _ in 0..<3 { #expect(try await scene.store.renew(scene.node).isEmpty) }
            #expect(try await scene.claim().isEmpty)
            #expect(try await scene.store.livingNodes() == [Scene.registration(scene.node)])
            try await scene.advance(run.advance([EventDraft(.statusReported)]))
        },
        ConformanceCheck("A node is listed with what it hosts, since when, and how many runs it owns") { scene in
            let since = scene.clock.now
            for _ in 0..<2 { _ = try await scene.owned() }
            _ = try await scene.waiting()
            let client = try await scene.client()
            scene.clock.advance(by: .seconds(1))
            for store in [scene.store, client] {
                let node = try #require(try await store.nodes().first)
                #expect(node.registration == Scene.registration(scene.node) && node.since == since && node.ownedRuns == 2)
                #expect(node.renewedAt == (store.leaseLength == nil ? nil : since) && !node.isOverdue)
                #expect(try await store.nodes().count == 1)
            }
            try await scene.store.unregister(scene.node)
            #expect(try await client.nodes().isEmpty)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
        },
        ConformanceCheck("A node that was replaced, or has taken leave, is told so when it renews") { scene in
            let heir = NodeID(rawValue: "node-2")
            try await scene.store.register(Scene.registration(heir))
            await expectLeaseLost { () throws(StoreError) in try await scene.store.renew(scene.node) }
            #expect(try await scene.store.renew(heir).isEmpty)
            try await scene.store.unregister(heir)
            await expectLeaseLost { () throws(StoreError) in try await scene.store.renew(heir) }
        },
    ]

    /// For stores that several nodes share, each alive as long as it renews its lease.
    package static let leases: [ConformanceCheck] = [
        ConformanceCheck("What a node verifies is told to the others, as it said last") { scene in
            var keeper = NodeRegistration(id: NodeID(rawValue: "keeper"), build: "b1", host: "host", processID: 9)
            let other = try await scene.join(as: keeper.id)
            #expect(try await scene.store.livingNodes().map(\.verifies) == [nil, nil])
            for verifies in ["60 *", nil, "3600 shop"] {
                keeper.verifies = verifies
                try await other.register(keeper)
                let found = try await scene.store.livingNodes()
                #expect(found.first { $0.id == keeper.id }?.verifies == verifies)
            }
        },
        ConformanceCheck("A node that renews its lease keeps its runs, however long it goes on") { scene in
            let length = try #require(scene.store.leaseLength)
            var run = try await scene.owned()
            let other = try await scene.join(as: second)
            for _ in 0..<10 {
                scene.clock.advance(by: length / 3)
                #expect(try await scene.store.renew(scene.node).isEmpty)
                #expect(try await other.renew(second).isEmpty)
            }
            #expect(try await scene.claim(as: second, through: other).isEmpty)
            #expect(try await other.livingNodes().map(\.id) == [scene.node, second])
            try await scene.advance(run.advance([EventDraft(.statusReported)]))
        },
        ConformanceCheck("The runs of a node whose lease lapses are taken over, with run.resumed in the same claim") { scene in
            let run = try await scene.owned()
            let other = try await scene.join(as: second)
            #expect(try await other.livingNodes().map(\.id) == [scene.node, second])
            try await scene.lapse(other)
            #expect(try await other.livingNodes().map(\.id) == [second])
            let claimed = try #require(try await scene.claim(as: second, through: other).first)
            #expect(claimed.isTakeover && claimed.previous == .running && claimed.record.owner == second)
            #expect(claimed.record.epoch == run.record.epoch + 1)
            let resumed = try #require(try await other.events(of: run.number, after: 1, limit: 10).first)
            #expect(resumed.kind == .runResumed && claimed.head == ChainHead(after: resumed))
            #expect(try resumed.attributes.object() == ["build": "b1", "node": "node-2", "clean": false])
        },
        ConformanceCheck("A node that counts as dead is refused, before its runs are taken over and after") { scene in
            let run = try await scene.owned(), free = try await scene.waiting()
            let other = try await scene.join(as: second)
            try await scene.lapse(other)
            for isTaken in [false, true] {
                if isTaken { #expect(try await scene.claim(as: second, through: other).count == 1) }
                var zombie = run
                #expect(try await scene.refusal(of: .advance(zombie.advance([EventDraft(.statusReported)]))) == .conflict)
                let beat = Heartbeat(run: run.number, epoch: run.record.epoch, subject: "a", details: nil)
                #expect(try await scene.refusal(of: .beat(beat)) == .conflict)
                #expect(try await scene.refusal(of: SampleRun(owner: scene.node).creation) == .conflict)
                await expectLeaseLost { () throws(StoreError) in try await scene.store.renew(scene.node) }
                await expectLeaseLost { () throws(StoreError) in
                    try await scene.store.claim(ClaimRequest(node: scene.node, build: "b1", hosted: Scene.hosted, limit: 9))
                }
                await expectLeaseLost { () throws(StoreError) in
                    try await scene.store.register(Scene.registration(scene.node))
                }
            }
            // What needs no node is still taken from that process.
            try await scene.deliver(to: free, id: "d")
            #expect(try await scene.history(run).map(\.kind) == [.runStarted, .runResumed])
        },
        ConformanceCheck("Nobody is ended whom the observer has not seen unrenewed for a whole lease") { scene in
            let length = try #require(scene.store.leaseLength)
            scene.clock.advance(by: length * 10)
            let other = try await scene.join(as: second)
            #expect(try await other.renew(second).isEmpty)
            for pause in [length / 2, length / 2 - .microseconds(1)] {
                scene.clock.advance(by: pause)
                #expect(try await other.renew(second).isEmpty)
            }
            scene.clock.advance(by: .microseconds(1))
            #expect(try await other.renew(second) == [scene.node])
        },
        ConformanceCheck("Looking ends a dead node as renewing does, and renews nothing") { scene in
            let length = try #require(scene.store.leaseLength)
            let other = try await scene.join(as: second)
            // Only looks: the looker's own lease goes on from its registration, and the other's too.
            for _ in 0..<3 {
                scene.clock.advance(by: length / 4)
                #expect(try await other.endLapsed(besides: second).isEmpty)
            }
            #expect(try await scene.store.renew(scene.node).isEmpty)
            for _ in 0..<4 {
                scene.clock.advance(by: length / 4)
                #expect(try await other.endLapsed(besides: second).isEmpty)
            }
            scene.clock.advance(by: length / 4)
            #expect(try await other.endLapsed(besides: second) == [scene.node])
            let standing = try await other.nodes().map(\.isOverdue)
            #expect(standing == [true])
        },
        ConformanceCheck("After an outage in which nobody could renew, the first to come back ends nobody") { scene in
            let length = try #require(scene.store.leaseLength)
            var run = try await scene.owned()
            let other = try await scene.join(as: second)
            for outage in [length * 10, length * 9 / 10] {
                scene.clock.advance(by: length / 10)
                #expect(try await other.renew(second).isEmpty)
                scene.clock.advance(by: outage)
                #expect(try await other.renew(second).isEmpty)
                #expect(try await scene.store.renew(scene.node).isEmpty)
            }
            try await scene.advance(run.advance([EventDraft(.statusReported)]))
        },
        ConformanceCheck("After an outage everybody has a whole lease to come back, however often one of them looks") { scene in
            let length = try #require(scene.store.leaseLength)
            let other = try await scene.join(as: second)
            for _ in 0..<10 {
                scene.clock.advance(by: length / 30)
                #expect(try await other.endLapsed(besides: second).isEmpty)
            }
            scene.clock.advance(by: length * 10)
            for _ in 0..<30 {
                #expect(try await other.endLapsed(besides: second).isEmpty)
                scene.clock.advance(by: length / 30)
            }
            #expect(try await scene.store.renew(scene.node).isEmpty)
            #expect(try await other.endLapsed(besides: second).isEmpty)
            #expect(try await other.livingNodes().map(\.id).contains(scene.node))
        },
        ConformanceCheck("A renewal that comes just before the end keeps the node, and one just after is told") { scene in
            let length = try #require(scene.store.leaseLength)
            var run = try await scene.owned()
            let other = try await scene.join(as: second)
            scene.clock.advance(by: length / 2)
            #expect(try await other.renew(second).isEmpty)
            scene.clock.advance(by: length / 2)
            // Late, but nobody has acted upon it.
            #expect(try await scene.store.renew(scene.node).isEmpty)
            #expect(try await other.renew(second).isEmpty)
            try await scene.advance(run.advance([EventDraft(.statusReported)]))
            try await scene.lapse(other)
            await expectLeaseLost { () throws(StoreError) in try await scene.store.renew(scene.node) }
        },
        ConformanceCheck("Of two observers one ends a node, and each of its runs is taken over once") { scene in
            let length = try #require(scene.store.leaseLength), third = NodeID(rawValue: "node-3")
            var runs: Set<Int64> = []
            for _ in 0..<25 { runs.insert(try await scene.owned().number) }
            let observers = [(second, try await scene.join(as: second)), (third, try await scene.join(as: third))]
            scene.clock.advance(by: length / 2)
            for (node, store) in observers { #expect(try await store.renew(node).isEmpty) }
            scene.clock.advance(by: length / 2)
            let ended = try await withThrowingTaskGroup(of: [NodeID].self) { group in
                for (node, store) in observers { group.addTask { try await store.renew(node) } }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(ended == [scene.node])
            let taken = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for (node, store) in observers {
                    group.addTask {
                        var taken: [Int64] = []
                        while true {
                            let claimed = try await scene.claim(3, as: node, through: store)
                            if claimed.isEmpty { return taken }
                            #expect(claimed.allSatisfy { $0.isTakeover && $0.record.owner == node })
                            taken += claimed.map(\.record.number)
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(taken.count == 25 && Set(taken) == runs)
        },
        ConformanceCheck("Nodes that live side by side claim each run once, and touch none of each other's") { scene in
            var runs: Set<Int64> = []
            for _ in 0..<20 { runs.insert(try await scene.create(SampleRun()).number) }
            let other = try await scene.join(as: second)
            var own: [Int64] = [], others: [Int64] = []
            while own.count + others.count < 20 {
                own += try await scene.claim(3).map(\.record.number)
                let claimed = try await scene.claim(2, as: second, through: other)
                #expect(!claimed.isEmpty && claimed.allSatisfy { !$0.isTakeover })
                others += claimed.map(\.record.number)
            }
            #expect(Set(own).union(others) == runs && own.count + others.count == 20)
            var run = SampleRun()
            run.record = try #require(try await other.run(number: others[0]))
            let head = try #require(try await other.events(of: others[0], after: 0, limit: 1).first)
            run.head = ChainHead(after: head)
            #expect(try await scene.refusal(of: .advance(run.advance([EventDraft(.statusReported)]))) == .conflict)
            #expect(try await scene.refusal(of: SampleRun(owner: second).creation) == .conflict)
        },
        ConformanceCheck("A node whose lease is over is not known to live until it renews, and is still listed") { scene in
            let length = try #require(scene.store.leaseLength), start = scene.clock.now
            _ = try await scene.owned()
            let client = try await scene.client()
            scene.clock.advance(by: length - .microseconds(1))
            #expect(try await client.livingNodes().map(\.id) == [scene.node])
            scene.clock.advance(by: .microseconds(1))
            #expect(try await client.livingNodes().isEmpty)
            let late = try #require(try await client.nodes().first)
            #expect(late.isOverdue && late.renewedAt == start && late.ownedRuns == 1)
            let other = try await scene.join(as: second)
            #expect(try await client.nodes().map(\.isOverdue) == [true, false])
            #expect(try await scene.store.renew(scene.node).isEmpty)
            #expect(try await other.livingNodes().map(\.id) == [scene.node, second])
            #expect(try await client.nodes().first?.renewedAt == scene.clock.now)
        },
        ConformanceCheck("A node that takes leave is gone at once, and its released runs are no take-over") { scene in
            let run = try await scene.resting(.init(to: .ready))
            let other = try await scene.join(as: second)
            try await scene.store.unregister(scene.node)
            #expect(try await other.livingNodes().map(\.id) == [second])
            let claimed = try await scene.claim(as: second, through: other)
            #expect(claimed.map(\.record.number) == [run.number] && claimed.allSatisfy { !$0.isTakeover })
        },
        ConformanceCheck("The bell rings when another node sends a message, and when it gives a run up") { scene in
            var sender = try await scene.owned()
            let other = try await scene.join(as: second)
            guard case .created(let record)? = try await other.commit([SampleRun(owner: second).creation]).first else {
                throw Unexpected("a run of another node", "no run")
            }
            let (rings, ring) = AsyncStream.makeStream(of: Void.self)
            other.onOutsideDelivery { ring.yield() }
            var heard = rings.makeAsyncIterator()
            let message = Delivery(to: record.id, id: "m", kind: .signal, sender: Sample.person)
            try await scene.advance(sender.advance([EventDraft(.statusReported)], deliveries: [message]))
            while try await other.inbox(ownedBy: second, after: 0, limit: 10).rows.isEmpty { _ = await heard.next() }
            try await scene.advance(sender.advance([], to: .init(to: .ready)))
            while try await scene.claim(as: second, through: other).isEmpty { _ = await heard.next() }
        },
    ]

    private static let second = NodeID(rawValue: "node-2")

    fileprivate static func expectLeaseLost<Answer>(_ call: () async throws(StoreError) -> Answer) async {
        do throws(StoreError) {
            _ = try await call()
            Issue.record("a lost lease was not told")
        } catch {
            guard case .leaseLost = error else {
                Issue.record("a lost lease was told as: \(error)")
                return
            }
        }
    }
}

extension Scene {
    /// Lets the lease of the scene's node lapse, as the other node sees it.
    fileprivate func lapse(_ other: any Store) async throws {
        let length = try #require(store.leaseLength), second = NodeID(rawValue: "node-2")
        clock.advance(by: length / 2)
        let early = try await other.renew(second)
        clock.advance(by: length / 2)
        let ended = try await other.renew(second)
        #expect(early.isEmpty && ended == [node])
    }
}
