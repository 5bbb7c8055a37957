internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let gate: [ConformanceCheck] = [
        ConformanceCheck("A commit on the calling thread is the one that can be awaited") { scene in
            var run = try await scene.owned()
            let advance = run.advance([EventDraft(.statusReported)])
            let results = try scene.store.commitHere([.advance(advance)])
            guard results.count == 1, case .advanced? = results.first else { throw Unexpected("a commit here", results) }
            #expect(try await scene.history(run) == run.events)
            try await scene.advance(advance)
            #expect(try scene.store.commitHere([]).isEmpty)
        },
        ConformanceCheck("An advance on the last event is durable and leaves the run owned") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance([EventDraft(.stepSucceeded, subject: "a")]))
            #expect(try await scene.history(run) == run.events)
            #expect(try await scene.record(run) == run.record)
        },
        ConformanceCheck("An advance on an older event is a conflict and writes nothing") { scene in
            var run = try await scene.owned()
            var stale = run
            try await scene.advance(run.advance([EventDraft(.stepSucceeded, subject: "a")]))
            #expect(try await scene.refusal(of: .advance(stale.advance([EventDraft(.stepFailed, subject: "a")]))) == .conflict)
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("An advance on the right seq with another hash is a conflict") { scene in
            var run = try await scene.owned()
            var other = SampleRun(owner: scene.node)
            other.record = run.record
            #expect(try await scene.refusal(of: .advance(other.advance([EventDraft(.statusReported)]))) == .conflict)
            try await scene.advance(run.advance([EventDraft(.statusReported)]))
        },
        ConformanceCheck("An advance under another epoch is a conflict") { scene in
            var run = try await scene.owned()
            run.record.epoch += 1
            #expect(try await scene.refusal(of: .advance(run.advance([EventDraft(.statusReported)]))) == .conflict)
        },
        ConformanceCheck("An advance of a run that nobody owns is a conflict") { scene in
            var run = try await scene.waiting()
            #expect(try await scene.refusal(of: .advance(run.advance([EventDraft(.statusReported)]))) == .conflict)
        },
        ConformanceCheck("An advance of a run that does not exist says so") { scene in
            var run = SampleRun(owner: scene.node)
            run.record.number = 4_711
            let refusal = try await scene.refusal(of: .advance(run.advance([EventDraft(.statusReported)])))
            #expect(refusal == .runUnknown)
        },
        ConformanceCheck("Repeating an advance answers the same and writes nothing") { scene in
            var run = try await scene.owned()
            let advance = run.advance([EventDraft(.stepSucceeded, subject: "a"), EventDraft(.statusReported)])
            try await scene.advance(advance)
            try await scene.advance(advance)
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("Repeating an advance is recognised when the run has gone on since") { scene in
            var run = try await scene.owned()
            let advance = run.advance([EventDraft(.stepSucceeded, subject: "a")], to: .init(to: .ready))
            try await scene.advance(advance)
            let claimed = try #require(try await scene.claim().first)
            run.take(over: claimed)
            try await scene.advance(run.advance([EventDraft(.statusReported)]))
            try await scene.advance(advance)
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("Repeating a change of state without events answers the same") { scene in
            var run = try await scene.owned()
            let advance = run.advance([], to: .init(to: .waiting, wakeAt: scene.clock.now + .seconds(5)))
            try await scene.advance(advance)
            try await scene.advance(advance)
            #expect(try await scene.record(run).wakeAt == scene.clock.now + .seconds(5))
        },
        ConformanceCheck("Runs that share a commit do not share their fate") { scene in
            var runs: [SampleRun] = []
            for _ in 0..<5 { runs.append(try await scene.owned()) }
            runs[2].record.epoch += 1
            var items: [CommitItem] = []
            for index in runs.indices { items.append(.advance(runs[index].advance([EventDraft(.statusReported)]))) }
            let results = try await scene.store.commit(items)
            #expect(results.map(isAdvanced) == [true, true, false, true, true])
            for (index, run) in runs.enumerated() {
                #expect(try await scene.history(run).count == (index == 2 ? 1 : 2))
            }
        },
        ConformanceCheck("Each of many advances that only append is decided by its own run, alone and beside others") { scene in
            for isMixed in [false, true] {
                var runs: [SampleRun] = []
                for _ in 0..<7 { runs.append(try await scene.owned()) }
                let closing = try await scene.owned()
                let step = [EventDraft(.stepSucceeded, subject: "a")]
                for run in runs { try await scene.beat(run, "a", "1") }
                let repeated = runs[1].advance(step)
                try await scene.advance(repeated)
                try await scene.beat(runs[1], "a", "2")
                runs[2].record.epoch += 1
                var stale = runs[3], elsewhere = SampleRun(owner: scene.node), unknown = SampleRun(owner: scene.node)
                try await scene.advance(runs[3].advance([EventDraft(.stepIntended, subject: "b")]))
                elsewhere.record = runs[4].record
                try await scene.advance(runs[5].advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
                unknown.record.number = 4_711
                var items: [CommitItem] = [
                    .advance(runs[0].advance(step)), .advance(repeated), .advance(runs[2].advance(step)),
                    .advance(stale.advance(step)), .advance(elsewhere.advance(step)), .advance(runs[5].advance(step)),
                    .advance(unknown.advance(step)), .advance(runs[6].advance(step + [EventDraft(.timerStarted, subject: "t")])),
                ]
                if isMixed {
                    var closing = closing
                    items.insert(.advance(closing.advance([EventDraft(.runCompleted)], to: .init(to: .completed))), at: 2)
                    items.append(SampleRun().creation)
                }
                var results = try await scene.store.commit(items)
                if isMixed {
                    guard case .advanced = results.remove(at: 2), case .created? = results.popLast() else {
                        throw Unexpected("what stands beside advances that only append", results)
                    }
                }
                #expect(results.map(isAdvanced) == [true, true, false, false, false, false, false, true])
                for (index, length) in [2, 2, 1, 2, 1, 2].enumerated() {
                    #expect(try await scene.history(runs[index]).count == length, "\(index)")
                }
                #expect(try await scene.history(runs[6]) == runs[6].events)
                for (index, isLeft) in [false, true, true, true, true].enumerated() {
                    #expect(try await scene.store.heartbeats(of: runs[index].number, "a").isEmpty != isLeft, "\(index)")
                }
            }
        },
        ConformanceCheck("A sign of life and the end of its step count in their order within a commit") { scene in
            for comesLast in [false, true] {
                var run = try await scene.owned()
                let end = CommitItem.advance(run.advance([EventDraft(.stepSucceeded, subject: "a")]))
                let beat = CommitItem.beat(scene.heartbeat(run, "a"))
                let results = try await scene.store.commit(comesLast ? [end, beat] : [beat, end])
                #expect(results.map(isAdvanced) == [true, true])
                #expect(try await scene.store.heartbeats(of: run.number, "a").isEmpty != comesLast)
            }
        },
        ConformanceCheck("Data that the store cannot hold is refused alone") { scene in
            var first = try await scene.owned(), bad = try await scene.owned(), last = try await scene.owned()
            let results = try await scene.store.commit([
                .advance(first.advance([EventDraft(.stepSucceeded, subject: "a")])),
                .advance(bad.advance([EventDraft(.stepSucceeded, subject: "a"), EventDraft(.statusReported, subject: "nul\0")])),
                SampleRun(workflow: "nul\0").creation,
                .advance(last.advance([EventDraft(.stepSucceeded, subject: "a")])),
            ])
            #expect(results.map(isAdvanced) == [true, false, false, true])
            for index in 1...2 {
                guard case .refused(.invalid) = results[index] else {
                    Issue.record("item \(index) was not refused as invalid but \(results[index])")
                    return
                }
            }
            #expect(try await scene.history(bad).count == 1)
            #expect(try await scene.history(last).count == 2)
        },
        ConformanceCheck("Events that do not follow the head are refused") { scene in
            var run = try await scene.owned()
            var advance = run.advance([EventDraft(.statusReported), EventDraft(.statusReported)])
            advance.events.removeFirst()
            guard case .invalid = try await scene.refusal(of: .advance(advance)) else {
                Issue.record("not refused as invalid")
                return
            }
        },
        ConformanceCheck("Items apply in their order, so that one commit can create, advance and close a run") { scene in
            var run = SampleRun(owner: scene.node)
            let creation = run.creation
            run = try await scene.create(run)
            let first = run.advance([EventDraft(.stepSucceeded, subject: "a")])
            let second = run.advance([EventDraft(.runCompleted)], to: .init(to: .completed))
            let results = try await scene.store.commit([creation, .advance(first), .advance(second)])
            #expect(results.dropFirst().map(isAdvanced) == [true, true])
            #expect(try await scene.record(run).state == .completed)
        },
        ConformanceCheck("A transition changes the row as it says and gives the run up") { scene in
            let wakeAt = scene.clock.now + .seconds(60)
            let transitions: [RunTransition] = [
                .init(to: .ready), .init(to: .waiting, wakeAt: wakeAt),
                .init(to: .parked, wakeAt: wakeAt, note: "step \"a\" is in doubt"),
                .init(to: .blocked, note: "no", blockedBuild: "b1"), .init(to: .paused, note: "by alice"), .init(to: .completed),
                .init(to: .failed), .init(to: .cancelled), .init(to: .terminated),
            ]
            for transition in transitions {
                let record = try await scene.record(try await scene.resting(transition))
                #expect(record.state == transition.state && record.owner == nil)
                #expect(record.wakeAt == transition.wakeAt && record.note == transition.note)
                #expect((record.closedAt != nil) == transition.state.isFinal)
                #expect(record.epoch == 1)
            }
        },
        ConformanceCheck("A closed run takes no further advance") { scene in
            var run = try await scene.resting(.init(to: .completed))
            #expect(try await scene.refusal(of: .advance(run.advance([EventDraft(.statusReported)]))) == .conflict)
        },
        ConformanceCheck("A commit of nothing is nothing") { scene in
            let results = try await scene.store.commit([])
            #expect(results.isEmpty)
        },
    ]

    static func isAdvanced(_ result: CommitResult) -> Bool {
        if case .advanced = result { true } else { false }
    }
}
