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
            #expect(begun.isStanding && begun.marked == 0 && begun.noticedAt == scene.clock.now)
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
            #expect(!done.isStanding && done.marked == 3 && done.liftedBy == Sample.person)
            #expect(try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person) == done)
            let after = try await scene.claim(as: NodeID(rawValue: "node-2"))
            #expect(Set(after.map(\.record.number)) == [1, 2, 3])
            // Who made it may have made it before, in what is lost.
            #expect(try await scene.history(new).map(\.kind) == [.runStarted, .runRestored])
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
                #expect(try await scene.record(run).epoch == run.record.epoch + Restoration.epochRise)
                let lost = try LostPart(mark)
                #expect(lost.since == run.head.at && lost.until == scene.clock.now && lost.by == Sample.person)
            }
            #expect(try await scene.store.openRequests(RequestQuery(limit: 10)).map(\.event.kind) == [.questionAsked])
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
        ConformanceCheck("A run that begins while others are marked is marked as well") { scene in
            let old = try await scene.waiting()
            let begun = try await scene.store.beginRestoration(by: "somebody", reason: "why")
            #expect(try await scene.store.markRestored(begun.number, limit: 1, by: Sample.person).isStanding)
            let late = try await scene.create(SampleRun(at: scene.clock.now))
            let done = try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person)
            #expect(!done.isStanding && done.marked == 2)
            for run in [old, late] { #expect(try await scene.history(run).count { $0.kind == .runRestored } == 1) }
            try await scene.restart(as: NodeID(rawValue: "node-2"))
        },
        ConformanceCheck("What is noticed once more while it stands has every run marked once more") { scene in
            let run = try await scene.waiting()
            let begun = try await scene.store.beginRestoration(by: "somebody", reason: "why")
            let half = try await scene.store.markRestored(begun.number, limit: 1, by: Sample.person)
            #expect(half.isStanding && half.markedUpTo == run.number)
            scene.clock.advance(by: .seconds(5))
            #expect(try await scene.store.beginRestoration(by: "another", reason: "more is missing") == begun)
            let done = try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person)
            #expect(!done.isStanding && done.marked == 1)
            let marks = try await scene.history(run).filter { $0.kind == .runRestored }
            #expect(marks.count == 2 && marks.last?.at == scene.clock.now)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
        },
        ConformanceCheck("Who decided before somebody else had recovered begins nothing") { scene in
            let begun = try await scene.store.beginRestoration(by: "somebody", reason: "why", after: 0)
            #expect(begun.isStanding)
            let done = try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person)
            #expect(try await scene.store.beginRestoration(by: "another", reason: "why", after: 0) == done)
            #expect(try await scene.store.restoration() == done)
            for _ in 0..<2 {
                let next = try await scene.store.beginRestoration(by: "another", reason: "why", after: begun.number)
                #expect(next.isStanding && next.number == begun.number + 1)
            }
            _ = try await scene.store.markRestored(begun.number + 1, limit: 10, by: Sample.person)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
        },
        ConformanceCheck("A start from before a recovery is found if it was made, and otherwise says that it may have been") {
            scene in
            let made = try await scene.create(SampleRun(key: "made", at: scene.clock.now))
            let late = SampleRun(key: "late", owner: scene.node, at: scene.clock.now)
            scene.clock.advance(by: .seconds(5))
            try await scene.recover()
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            guard case .created(let found) = try await scene.commit(made.creation) else { throw Unexpected("a repeat", made) }
            #expect(found.number == made.number)
            guard case .keyTaken = try await scene.commit(SampleRun(key: "made", at: made.record.createdAt).creation) else {
                throw Unexpected("a start whose key is taken", made)
            }
            let mine = SampleRun(at: late.record.createdAt)
            guard case .mayHaveBegun(let lost) = try await scene.refusal(of: mine.creation) else {
                throw Unexpected("a late start", mine)
            }
            #expect(lost == LostPart(since: mine.record.createdAt, until: scene.clock.now, by: Sample.person))
            // It is nobody's, whoever wanted to own it.
            for (run, item) in [(mine, mine.creation.saying(lost)), (late, late.creation.saying(lost))] {
                for _ in 0..<2 {
                    guard case .created(let record) = try await scene.commit(item) else {
                        throw Unexpected("a start that says so", run)
                    }
                    #expect(record.state == .ready && record.owner == nil && record.epoch >= Restoration.epochRise)
                }
                #expect(try await scene.history(scene.record(of: run)).map(\.kind) == [.runStarted, .runRestored])
            }
            scene.clock.advance(by: .seconds(1))
            _ = try await scene.create(SampleRun(at: scene.clock.now))
        },
        ConformanceCheck("Schedules start nothing while it stands, and then what says that it may have begun") { scene in
            let row = StoreConformance.row("nightly", 1, due: 5), quiet = StoreConformance.row("other", 1, due: 5)
            let run = SampleRun(key: "a", at: scene.clock.now), rest = SampleRun(key: "b", at: scene.clock.now)
            let change = ScheduleChange(row.key, on: nil, to: row, starts: [run.new, rest.new])
            let begun = try await scene.store.beginRestoration(by: "somebody", reason: "why")
            #expect(try await scene.refusal(of: .schedule(change)) == .conflict)
            // What starts nothing is taken.
            let other = ScheduleChange(quiet.key, on: nil, to: quiet)
            guard case .scheduled = try await scene.commit(.schedule(other)) else { throw Unexpected("a schedule", other) }
            _ = try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person)
            guard case .mayHaveBegun(let lost) = try await scene.refusal(of: .schedule(change)) else {
                throw Unexpected("a late start", change)
            }
            #expect(try await scene.store.schedules(.one(row.key)).isEmpty)
            guard case .scheduled = try await scene.commit(CommitItem.schedule(change).saying(lost)) else {
                throw Unexpected("starts that say so", change)
            }
            for run in [run, rest] {
                #expect(try await scene.history(scene.record(of: run)).map(\.kind) == [.runStarted, .runRestored])
            }
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
        },
        ConformanceCheck("Nodes that were let in while it stands end when more is noticed") { scene in
            let second = NodeID(rawValue: "node-2")
            _ = try await scene.store.beginRestoration(by: "somebody", reason: "why")
            let other = try await scene.join(as: second)
            #expect(try await scene.store.livingNodes().map(\.id) == [second])
            _ = try await scene.store.beginRestoration(by: "another", reason: "more is missing")
            await #expect(throws: StoreError.self) { try await other.renew(second) }
            #expect(try await scene.store.livingNodes().isEmpty)
            try await scene.restart(as: NodeID(rawValue: "node-3"))
        },
        ConformanceCheck("Nodes that were let in while it stands live on when somebody works it off") { scene in
            let second = NodeID(rawValue: "node-2"), run = try await scene.waiting()
            let begun = try await scene.store.beginRestoration(by: "somebody", reason: "why")
            let other = try await scene.join(as: second)
            #expect(try await scene.store.beginRestoration(by: "a person", reason: "why", after: begun.number - 1) == begun)
            let done = try await scene.store.markRestored(begun.number, limit: 10, by: Sample.person)
            #expect(!done.isStanding && done.marked == 1)
            try await other.renew(second)
            #expect(try await scene.store.livingNodes().map(\.id) == [second])
            #expect(try await scene.history(run).last?.kind == .runRestored)
            try await scene.restart(as: NodeID(rawValue: "node-3"))
        },
    ]
}

extension Scene {
    /// Marks everything, as one who says that history went back.
    fileprivate func recover() async throws {
        let begun = try await store.beginRestoration(by: "somebody", reason: "why")
        let done = try await store.markRestored(begun.number, limit: 100, by: Sample.person)
        #expect(!done.isStanding)
    }

    fileprivate func record(of run: SampleRun) async throws -> SampleRun {
        var run = run
        run.record = try #require(try await store.run(run.record.id))
        return run
    }
}
