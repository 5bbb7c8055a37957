internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// Terminated runs, of which something may still be in doubt.
    static let afterEnd: [ConformanceCheck] = [
        ConformanceCheck("A terminated run takes in a resolve and nothing else; other closed runs take in nothing") { scene in
            for state in RunState.allCases where state.isFinal {
                let run = try await scene.resting(.init(to: state))
                for kind in InboxKind.allCases {
                    let delivery = Delivery(to: run.record.id, id: kind.rawValue, kind: kind, name: "a", sender: Sample.person)
                    let result = try await scene.commit(.deliver(delivery))
                    switch result {
                    case .delivered(isDuplicate: false): #expect(state == .terminated && kind == .resolve)
                    case .refused(.runClosed): #expect(state != .terminated || kind != .resolve)
                    default: throw Unexpected("a \(kind) to a \(state) run", result)
                    }
                }
            }
        },
        ConformanceCheck("A terminated run with a resolve is lent to whoever asks, and stays terminated for all who look") {
            scene in
            let run = try await scene.resting(.init(to: .terminated), workflow: "farewell")
            let closed = try await scene.record(run)
            scene.clock.advance(by: .seconds(5))
            try await scene.deliver(.resolve, to: run, id: "r")
            let claimed = try #require(try await scene.claim(hosted: [], only: [run.number]).first)
            #expect(claimed.previous == .terminated && !claimed.isTakeover && claimed.head == run.head)
            var expected = closed
            expected.owner = scene.node
            expected.epoch += 1
            #expect(claimed.record == expected)
            #expect(try await scene.record(run) == expected)
            #expect(try await scene.store.counts(namespace: nil) == [.terminated: 1])
            #expect(try await scene.store.runs(RunFilter(states: [.terminated])) == [expected])
            #expect(try await scene.claim(hosted: []).isEmpty)
            #expect(try await scene.store.inbox(ownedBy: scene.node, after: 0, limit: 10).rows.map(\.delivery.id) == ["r"])
        },
        ConformanceCheck("What may follow the end is appended, and the run keeps its closing time") { scene in
            var run = try await scene.lent()
            let closedAt = try await scene.record(run).closedAt
            let rows = try await scene.store.inbox(run: run.number).map(\.number)
            scene.clock.advance(by: .seconds(5))
            let drafts = [
                EventDraft(.stepResolved, subject: "a"), EventDraft(.undoResolved, subject: "b"), EventDraft(.operatorAction),
            ]
            let advance = run.advance(drafts, to: .init(to: .terminated), consuming: rows, at: scene.clock.now)
            try await scene.advance(advance)
            try await scene.advance(advance)
            let record = try await scene.record(run)
            #expect(record.state == .terminated && record.owner == nil && record.closedAt == closedAt && closedAt != nil)
            #expect(try await scene.history(run) == run.events)
            #expect(try await scene.claim().isEmpty)
        },
        ConformanceCheck("Nothing else can be added to a terminated run, and it cannot be opened again") { scene in
            let run = try await scene.lent()
            let attempts: [([EventDraft], RunTransition?)] = [
                ([], nil), ([EventDraft(.stepResolved)], nil), ([], .init(to: .ready)), ([], .init(to: .completed)),
                ([EventDraft(.stepSucceeded)], .init(to: .terminated)), ([EventDraft(.runTerminated)], .init(to: .terminated)),
            ]
            for (drafts, transition) in attempts {
                var attempt = run
                guard case .invalid = try await scene.refusal(of: .advance(attempt.advance(drafts, to: transition))) else {
                    throw Unexpected("a terminated run", transition as Any)
                }
            }
            #expect(try await scene.record(run) == run.record)
        },
        ConformanceCheck("A resolve that comes while a terminated run is lent out is found by the next claim") { scene in
            var run = try await scene.lent()
            let rows = try await scene.store.inbox(run: run.number).map(\.number)
            try await scene.deliver(.resolve, to: run, id: "later")
            try await scene.advance(run.advance([EventDraft(.stepResolved)], to: .init(to: .terminated), consuming: rows))
            #expect(try await scene.claim(hosted: []).map(\.record.number) == [run.number])
        },
        ConformanceCheck("A terminated run whose borrower died is lent out again, and nothing is added for that") { scene in
            var zombie = try await scene.lent()
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            #expect(
                try await scene.refusal(of: .advance(zombie.advance([EventDraft(.stepResolved)], to: .init(to: .terminated))))
                    == .conflict)
            let claimed = try #require(try await scene.claim(hosted: [], as: heir).first)
            #expect(claimed.previous == .terminated && claimed.record.state == .terminated && !claimed.isTakeover)
            #expect(try await scene.history(zombie).last?.kind == .runTerminated)
            var run = zombie
            run.take(over: claimed)
            let rows = try await scene.store.inbox(run: run.number).map(\.number)
            try await scene.advance(run.advance([EventDraft(.stepResolved)], to: .init(to: .terminated), consuming: rows))
        },
        ConformanceCheck("Only an open run that nobody has owned meanwhile is quarantined, if that was asked for") { scene in
            let owned = try await scene.owned(), closed = try await scene.resting(.init(to: .completed))
            let waiting = try await scene.waiting(), changed = try await scene.waiting(),
                runs = [owned, closed, waiting, changed]
            for run in runs {
                let epoch = try await scene.record(run).epoch - (run.number == changed.number ? 1 : 0)
                try await scene.store.quarantine(run.number, reason: "event 2 was changed", ifUnownedSince: epoch)
            }
            var states: [RunState] = []
            for run in runs { states.append(try await scene.record(run).state) }
            #expect(states == [.running, .completed, .quarantined, .waiting])
        },
        ConformanceCheck("A terminated run that is quarantined is lent to nobody") { scene in
            let run = try await scene.lent()
            try await scene.store.quarantine(run.number, reason: "event 2 was changed")
            #expect(try await scene.claim().isEmpty)
            let record = try await scene.record(run)
            #expect(record.state == .quarantined && record.owner == nil)
        },
    ]
}

extension Scene {
    /// A terminated run with an unread resolve, which this node has claimed.
    fileprivate func lent() async throws -> SampleRun {
        var run = try await resting(.init(to: .terminated))
        try await deliver(.resolve, to: run, id: "r")
        let claimed = try await claim(hosted: [], only: [run.number]).first
        guard let claimed else { throw Unexpected("claiming a terminated run", "nothing") }
        run.take(over: claimed)
        return run
    }
}
