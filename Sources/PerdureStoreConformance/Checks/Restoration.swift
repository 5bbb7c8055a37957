internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// History that went back, and how it is gone on from.
    static let restoration: [ConformanceCheck] = [
        ConformanceCheck("While it stands that history went back, no run is claimed and none begins owned") { scene in
            #expect(try await scene.store.restoration() == nil)
            _ = try await scene.create(SampleRun(at: scene.clock.now))
            _ = try await scene.owned()
            let begun = try await scene.store.beginRestoration(by: "somebody", reason: "an event is missing")
            #expect(begun.isStanding && begun.lastRun == 2 && begun.marked == 0 && begun.noticedAt == scene.clock.now)
            #expect(try await scene.store.beginRestoration(by: "another", reason: "the same") == begun)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            #expect(try await scene.store.restoration() == begun)
            let claimed = try await scene.store.claim(
                ClaimRequest(node: NodeID(rawValue: "node-2"), build: "b1", hosted: Scene.hosted, limit: 10))
            #expect(claimed.isHeld && claimed.runs.isEmpty)
            let new = try await scene.create(SampleRun(owner: NodeID(rawValue: "node-2"), at: scene.clock.now))
            #expect(new.record.state == .ready && new.record.owner == nil)
            // What people say is taken in.
            try await scene.deliver(to: new, id: "d")
            let done = try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person)
            #expect(!done.isStanding && done.marked == 2 && done.liftedBy == Sample.person)
            #expect(try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person) == done)
            let after = try await scene.claim(as: NodeID(rawValue: "node-2"))
            #expect(Set(after.map(\.record.number)) == [1, 2, 3])
            #expect(try await scene.history(new).map(\.kind) == [.runStarted], "it began afterwards")
        },
        ConformanceCheck("Open runs are marked in batches, once each, and closed ones are not") { scene in
            var runs: [SampleRun] = []
            for state in [RunState.waiting, .parked, .paused, .completed, .terminated, .waiting] {
                runs.append(try await scene.resting(.init(to: state)))
            }
            let asked = EventDraft(.approvalRequested, subject: "a", input: .inline(Array("{}".utf8)))
            let question = EventDraft(.questionAsked, subject: "q", input: .inline(Array("{}".utf8)))
            var asking = try await scene.owned()
            try await scene.advance(asking.advance([asked, question], to: .init(to: .waiting)))
            var owned = try await scene.owned()
            let begun = try await scene.store.beginRestoration(by: "somebody", reason: "why")
            scene.clock.advance(by: .seconds(5))
            var marks: [Int64] = []
            var standing = begun
            while standing.isStanding {
                // An answer may be lost at any time: who goes on finds how far it is.
                standing = try await scene.store.markRestored(begun.number, limit: 2, by: Sample.person)
                marks.append(standing.marked)
            }
            #expect(marks == [2, 4, 6, 6])
            for (run, isOpen) in zip(runs + [asking, owned], [true, true, true, false, false, true, true, true]) {
                let events = try await scene.history(run)
                #expect(events.count { $0.kind == .runRestored } == (isOpen ? 1 : 0))
                _ = try EventChain.verify(
                    events, run: run.record.id.description,
                    from: .start(namespace: "default", run: run.record.id.description))
                guard isOpen, let mark = events.last else { continue }
                let lost = try LostPart(mark)
                #expect(lost.since == run.head.at && lost.until == scene.clock.now && lost.by == Sample.person)
            }
            #expect(try await scene.store.openRequests(namespace: nil, limit: 10).map(\.event.kind) == [.questionAsked])
            // Who had it in memory does not know of the mark.
            let refusal = try await scene.refusal(of: .advance(owned.advance([EventDraft(.statusReported)])))
            guard case .conflict = refusal else { throw Unexpected("a commit on what was there before", refusal) }
            try await scene.restart(as: NodeID(rawValue: "node-2"))
        },
        ConformanceCheck("A second loss is another restoration") { scene in
            let run = try await scene.waiting()
            for number in 1...2 {
                let begun = try await scene.store.beginRestoration(by: "somebody", reason: "\(number)")
                #expect(begun.number == Int64(number))
                let done = try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person)
                #expect(try await scene.store.restoration() == done && !done.isStanding)
            }
            #expect(try await scene.history(run).count { $0.kind == .runRestored } == 2)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
        },
    ]

    /// Where nodes have leases.
    package static let lossesUnderLeases: [ConformanceCheck] = [
        ConformanceCheck("Every node ends when it is written down that history went back") { scene in
            let second = NodeID(rawValue: "node-2")
            let other = try await scene.join(as: second)
            var run = try await scene.owned()
            _ = try await scene.store.beginRestoration(by: "somebody", reason: "why")
            for (store, node) in [(scene.store, scene.node), (other, second)] {
                await #expect(throws: StoreError.self) { try await store.renew(node) }
            }
            let refusal = try await scene.refusal(of: .advance(run.advance([EventDraft(.statusReported)])))
            guard case .conflict = refusal else { throw Unexpected("a commit of a node that has ended", refusal) }
            #expect(try await scene.store.livingNodes().isEmpty)
            try await scene.restart(as: NodeID(rawValue: "node-3"))
        }
    ]
}
