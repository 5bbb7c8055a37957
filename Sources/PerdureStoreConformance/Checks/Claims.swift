internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let claims: [ConformanceCheck] = [
        ConformanceCheck("A claim makes the node the owner under a new epoch, and answers with the head") { scene in
            let run = try await scene.create(SampleRun())
            let claimed = try #require(try await scene.claim().first)
            #expect(claimed.record.state == .running && claimed.record.owner == scene.node && claimed.record.epoch == 1)
            #expect(claimed.previous == .ready && !claimed.isTakeover && claimed.head == run.head)
            #expect(try await scene.record(run) == claimed.record)
            #expect(try await scene.claim().isEmpty)
        },
        ConformanceCheck("A claimed run can be advanced under its new epoch only") { scene in
            var run = try await scene.create(SampleRun())
            var stale = run
            run.take(over: try #require(try await scene.claim().first))
            #expect(try await scene.refusal(of: .advance(stale.advance([EventDraft(.statusReported)]))) == .conflict)
            try await scene.advance(run.advance([EventDraft(.statusReported)]))
        },
        ConformanceCheck("A waiting run is claimed when it is due, not before") { scene in
            let due = scene.clock.now + .seconds(10)
            let run = try await scene.waiting(until: due)
            scene.clock.advance(by: .seconds(9))
            #expect(try await scene.claim().isEmpty)
            scene.clock.advance(by: .seconds(1))
            let claimed = try #require(try await scene.claim().first)
            #expect(claimed.record.number == run.number && claimed.previous == .waiting && claimed.record.wakeAt == nil)
        },
        ConformanceCheck("A run is claimed as long before it is due as the node asks for, not sooner") { scene in
            let due = scene.clock.now + .seconds(10)
            let run = try await scene.waiting(until: due)
            scene.clock.advance(by: .seconds(7))
            #expect(try await scene.claim(ahead: .seconds(2)).isEmpty)
            #expect(try await scene.claim(only: [run.number], ahead: .seconds(2)).isEmpty)
            let claimed = try #require(try await scene.claim(ahead: .seconds(3)).first)
            #expect(claimed.record.number == run.number && claimed.previousWakeAt == due)
        },
        ConformanceCheck("The oldest cause is claimed first, and the limit is kept") { scene in
            let start = scene.clock.now
            let late = try await scene.waiting(until: start + .seconds(30))
            let early = try await scene.waiting(until: start + .seconds(10))
            scene.clock.advance(by: .seconds(20))
            let fresh = try await scene.create(SampleRun(at: scene.clock.now))
            let told = try await scene.waiting()
            scene.clock.advance(by: .seconds(5))
            try await scene.deliver(to: told, id: "d1")
            scene.clock.advance(by: .seconds(60))
            let expected = [early, fresh, told, late].map(\.number)
            #expect(try await scene.claim(2).map(\.record.number) == Array(expected.prefix(2)))
            #expect(try await scene.claim(2).map(\.record.number) == Array(expected.suffix(2)))
        },
        ConformanceCheck("Many runs that are due at once are claimed in batches, each once") { scene in
            let due = scene.clock.now + .seconds(1)
            var expected: Set<Int64> = []
            for _ in 0..<25 { expected.insert(try await scene.waiting(until: due).number) }
            scene.clock.advance(by: .seconds(2))
            var claimed: [Int64] = []
            while true {
                let batch = try await scene.claim(10)
                #expect(batch.count <= 10)
                if batch.isEmpty { break }
                claimed += batch.map(\.record.number)
            }
            #expect(claimed.count == 25 && Set(claimed) == expected)
        },
        ConformanceCheck("Only hosted workflows and versions are claimed") { scene in
            let run = try await scene.create(SampleRun(workflow: "greeting", version: "2"))
            _ = try await scene.waiting(until: scene.clock.now, workflow: "farewell")
            #expect(try await scene.claim().isEmpty)
            #expect(try await scene.claim(hosted: []).isEmpty)
            let claimed = try await scene.claim(hosted: [.init(workflow: "greeting", version: "2")])
            #expect(claimed.map(\.record.number) == [run.number])
        },
        ConformanceCheck("A run that nobody hosts does not stand in the way of the others") { scene in
            for _ in 0..<20 { _ = try await scene.create(SampleRun(workflow: "farewell")) }
            let run = try await scene.create(SampleRun(at: scene.clock.now + .seconds(1)))
            #expect(try await scene.claim(1).map(\.record.number) == [run.number])
        },
        ConformanceCheck("Only the given runs are claimed, if they are claimable") { scene in
            let wanted = try await scene.create(SampleRun())
            _ = try await scene.create(SampleRun())
            let asleep = try await scene.waiting()
            let owned = try await scene.owned()
            let claimed = try await scene.claim(only: [asleep.number, owned.number, wanted.number, 999])
            #expect(claimed.map(\.record.number) == [wanted.number])
        },
        ConformanceCheck("A node that is not registered claims nothing") { scene in
            _ = try await scene.create(SampleRun())
            await #expect(throws: StoreError.self) { try await scene.claim(as: NodeID(rawValue: "nobody")) }
        },
        ConformanceCheck("The next wake is the earliest of the hosted workflows that nobody owns") { scene in
            #expect(try await scene.store.nextWake(hosted: Scene.hosted) == nil)
            let soon = scene.clock.now + .seconds(5)
            _ = try await scene.waiting(until: soon + .seconds(5))
            _ = try await scene.waiting(until: soon)
            _ = try await scene.waiting(until: scene.clock.now, workflow: "farewell")
            _ = try await scene.waiting()
            #expect(try await scene.store.nextWake(hosted: Scene.hosted) == soon)
            #expect(try await scene.store.nextWake(hosted: []) == nil)
            scene.clock.advance(by: .seconds(6))
            #expect(try await scene.claim().count == 1)
            #expect(try await scene.store.nextWake(hosted: Scene.hosted) == soon + .seconds(5))
        },
    ]

    /// What each state can be woken by.
    static let causes: [ConformanceCheck] = [
        ConformanceCheck("An unread inbox row wakes a waiting and a parked run, not a paused or blocked one") { scene in
            let waiting = try await scene.waiting()
            let parked = try await scene.resting(.init(to: .parked, note: "in doubt"))
            let paused = try await scene.resting(.init(to: .paused))
            let blocked = try await scene.resting(.init(to: .blocked, blockedBuild: "b1"))
            for run in [waiting, parked, paused, blocked] { try await scene.deliver(to: run, id: "d") }
            #expect(try await scene.claim().map(\.record.number) == [waiting.number, parked.number])
            #expect(try await scene.claim(only: [paused.number, blocked.number]).isEmpty)
        },
        ConformanceCheck("A due time wakes a parked run") { scene in
            let run = try await scene.resting(.init(to: .parked, wakeAt: scene.clock.now + .seconds(1)))
            scene.clock.advance(by: .seconds(1))
            #expect(try await scene.claim().map(\.record.number) == [run.number])
        },
        ConformanceCheck("A terminate wakes every run that is not owned, whoever hosts its workflow") { scene in
            var runs: [SampleRun] = []
            for transition in [
                RunTransition(to: .ready), .init(to: .waiting), .init(to: .parked), .init(to: .paused),
                .init(to: .blocked, blockedBuild: "b1"),
            ] { runs.append(try await scene.resting(transition, workflow: "farewell")) }
            for run in runs { try await scene.deliver(.terminate, to: run, id: "t", name: "") }
            #expect(try await scene.claim(hosted: []).map(\.record.number) == runs.map(\.number))
        },
        ConformanceCheck("A terminate wakes a given run that is blocked for this build") { scene in
            let run = try await scene.resting(.init(to: .blocked, blockedBuild: "b1"))
            #expect(try await scene.claim(only: [run.number]).isEmpty)
            try await scene.deliver(.terminate, to: run, id: "t", name: "")
            #expect(try await scene.claim(only: [run.number]).count == 1)
        },
        ConformanceCheck("A blocked run is claimed by another build, and by none that it is blocked for") { scene in
            var run = try await scene.resting(.init(to: .blocked, blockedBuild: "b1"))
            #expect(try await scene.claim(build: "b1").isEmpty)
            run.take(over: try #require(try await scene.claim(build: "b2").first))
            try await scene.advance(run.advance([], to: .init(to: .blocked, blockedBuild: "b2")))
            #expect(try await scene.claim(build: "b1").isEmpty)
            #expect(try await scene.claim(build: "b2").isEmpty)
            #expect(try await scene.claim(build: "b3").count == 1)
        },
        ConformanceCheck("Once a build has carried a blocked run on, the others may try again") { scene in
            var run = try await scene.resting(.init(to: .blocked, blockedBuild: "b1"))
            run.take(over: try #require(try await scene.claim(build: "b2").first))
            try await scene.advance(run.advance([EventDraft(.runUnblocked)], to: .init(to: .waiting, wakeAt: scene.clock.now)))
            #expect(try await scene.claim(build: "b1").count == 1)
        },
        ConformanceCheck("A quarantined run is never claimed, and keeps its reason") { scene in
            var owned = try await scene.owned()
            let waiting = try await scene.waiting(until: scene.clock.now)
            for run in [owned, waiting] {
                try await scene.store.quarantine(run.number, reason: "event 2 was changed")
                try await scene.deliver(.terminate, to: run, id: "t", name: "")
                let record = try await scene.record(run)
                #expect(record.state == .quarantined && record.note == "event 2 was changed" && record.owner == nil)
            }
            #expect(try await scene.claim().isEmpty)
            #expect(try await scene.claim(only: [owned.number, waiting.number]).isEmpty)
            #expect(try await scene.refusal(of: .advance(owned.advance([EventDraft(.statusReported)]))) == .conflict)
        },
        ConformanceCheck("A closed run is never claimed") { scene in
            for state in RunState.allCases where state.isFinal { _ = try await scene.resting(.init(to: state)) }
            #expect(try await scene.claim().isEmpty)
        },
    ]
}
