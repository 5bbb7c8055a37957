internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// Runs that are continued as others.
    static let succession: [ConformanceCheck] = [
        ConformanceCheck("A run that is continued closes, names the next one and hands it its key") { scene in
            var run = try await scene.owned(key: "k")
            let next = try await scene.continued(&run)
            let record = try await scene.record(run)
            #expect(record.state == .completed && record.successor == next.record.id && record.key == nil)
            #expect(record.stateName == "continued" && record.closedAt != nil)
            #expect(next.record.key == "k" && next.record.state == .ready && next.record.origin == run.record.chain)
            #expect(try await scene.store.run(namespace: "default", workflow: "greeting", key: "k") == next.record)
            #expect(try await scene.store.lastOfChain(begunBy: run.record.id) == next.record)
            #expect(try await scene.claim().map(\.record.id) == [next.record.id])
        },
        ConformanceCheck("A chain of runs has one end, and one beginning that all of them name") { scene in
            var run = try await scene.owned()
            var next = try await scene.continued(&run)
            next.take(over: try #require(try await scene.claim().first))
            let last = try await scene.continued(&next)
            #expect(last.record.origin?.run == run.record.id && last.record.origin?.salt == run.record.salt)
            #expect(try await scene.store.lastOfChain(begunBy: run.record.id) == last.record)
            #expect(try await scene.store.lastOfChain(begunBy: next.record.id) == nil)
            #expect(try await scene.store.lastOfChain(begunBy: scene.owned().record.id) == nil)
        },
        ConformanceCheck("Repeating the commit that continues a run makes one run") { scene in
            var run = try await scene.owned(key: "k")
            let next = SampleRun(key: "k", continuing: run)
            let advance = run.advance([Scene.continued], to: .init(to: .completed), successor: next)
            try await scene.advance(advance)
            try await scene.advance(advance)
            #expect(try await scene.store.runs(RunFilter()).count == 2)
        },
        ConformanceCheck("A run that cannot close is not continued") { scene in
            var run = try await scene.owned(key: "k")
            try await scene.deliver(to: run, id: "d")
            let next = SampleRun(key: "k", continuing: run)
            let advance = run.advance([Scene.continued], to: .init(to: .completed), successor: next)
            guard case .unreadInbox = try await scene.refusal(of: .advance(advance)) else {
                Issue.record("not refused because of what is unread")
                return
            }
            #expect(try await scene.store.run(next.record.id) == nil)
            #expect(try await scene.record(run).key == "k")
        },
        ConformanceCheck("Only a run of the same workflow, key and chain continues another one") { scene in
            let run = try await scene.owned(key: "k")
            for wrong in [
                SampleRun(workflow: "farewell", key: "k", continuing: run), SampleRun(key: "other", continuing: run),
                SampleRun(key: "k"), SampleRun(key: "k", owner: scene.node, continuing: run),
            ] {
                var run = run
                let advance = run.advance([Scene.continued], to: .init(to: .completed), successor: wrong)
                guard case .invalid = try await scene.refusal(of: .advance(advance)) else {
                    Issue.record("not refused as invalid")
                    return
                }
            }
            var early = run
            let advance = early.advance(
                [EventDraft(.runCompleted)], to: .init(to: .completed), successor: SampleRun(key: "k", continuing: run))
            guard case .invalid = try await scene.refusal(of: .advance(advance)) else {
                Issue.record("a run that completed was continued")
                return
            }
        },
        ConformanceCheck("What is sent to a run that was continued reaches the last one, once for each id") { scene in
            var run = try await scene.owned()
            try await scene.deliver(to: run, id: "before")
            let rows = try await scene.store.inbox(run: run.number).map(\.number)
            var next = try await scene.continued(&run, consuming: rows)
            // Spelled out: the store may ask the same predicate that a check would ask.
            let following: [InboxKind] = [.signal, .update, .cancel, .terminate, .pause, .unpause, .repin, .settleLoss]
            for kind in InboxKind.allCases {
                let delivery = Delivery(to: run.record.id, id: kind.rawValue, kind: kind, name: "a", sender: Sample.person)
                switch try await scene.commit(.deliver(delivery)) {
                case .delivered(isDuplicate: false): #expect(following.contains(kind), "\(kind)")
                case .refused(.runClosed): #expect(!following.contains(kind), "\(kind)")
                case let other: throw Unexpected("a \(kind) to a run that was continued", other)
                }
            }
            #expect(try await scene.deliver(to: run, id: "before"))
            let unread = try await scene.store.inbox(run: next.number)
            #expect(unread.map(\.delivery.kind) == following)
            next.take(over: try #require(try await scene.claim().first))
            let last = try await scene.continued(&next, consuming: unread.map(\.number))
            // The same message again, and another one.
            #expect(try await scene.deliver(.signal, to: run, id: "signal", name: "a"))
            #expect(try await !scene.deliver(.signal, to: run, id: "later", name: "a"))
            #expect(try await scene.store.inbox(run: last.number).map(\.delivery.id) == ["later"])
        },
    ]
}

extension Scene {
    fileprivate static let continued = EventDraft(.runContinued)

    /// Has the run continued by another one, and gives that.
    func continued(_ run: inout SampleRun, consuming consumed: [Int64] = []) async throws -> SampleRun {
        var next = SampleRun(key: run.record.key, continuing: run)
        try await advance(run.advance([Self.continued], to: .init(to: .completed), consuming: consumed, successor: next))
        next.record = try await record(next)
        return next
    }
}
