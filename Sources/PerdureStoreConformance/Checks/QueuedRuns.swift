internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// What becomes of a run that waits in a queue, and of its place.
    static let queuedRuns: [ConformanceCheck] = [
        ConformanceCheck(
            "A queued run is cancelled, terminated or failed by any node, takes no place for it, and leaves its line"
        ) {
            scene in
            try await scene.limit(0)
            for (kind, state) in [(InboxKind.cancel, RunState.cancelled), (.terminate, .terminated), (.terminate, .failed)] {
                var run = try await scene.queued(workflow: "farewell")
                let rows = try await scene.lend(&run, for: kind)
                #expect(!run.record.isAdmitted)
                try await scene.advance(run.advance(Scene.closing(state), to: .init(to: state), consuming: rows))
                #expect(try await scene.record(run).state == state)
                #expect(try await scene.store.queuePosition(of: run.number) == nil)
            }
            #expect(try await scene.standing().waiting == 0)
        },
        ConformanceCheck("A queued run with a message that ends it or moves it is passed over, and others are not") { scene in
            try await scene.limit(1)
            var runs: [SampleRun] = []
            for _ in 0..<3 { runs.append(try await scene.queued()) }
            runs.append(try await scene.queued("other"))
            try await scene.deliver(.cancel, to: runs[0], id: "c", name: "")
            try await scene.deliver(.terminate, to: runs[1], id: "t", name: "")
            #expect(try await scene.admit() == 1)
            #expect(try await scene.admitted(runs) == [2])
            // Nobody took them on before they came back to their line.
            for _ in 0..<2 {
                var run = SampleRun()
                run.take(over: try #require(try await scene.claim(1, hosted: []).first))
                let rows = try await scene.store.inbox(run: run.number).map(\.number)
                try await scene.advance(run.advance([EventDraft(.statusReported)], to: .init(to: .ready), consuming: rows))
            }
            try await scene.complete(runs[2])
            #expect(try await scene.order(of: [runs[0], runs[1], runs[3]]) == [2, 0, 1])
        },
        ConformanceCheck("A queued run that is paused lets others pass, and comes back to its old place") { scene in
            try await scene.limit(1)
            var runs: [SampleRun] = []
            for _ in 0..<4 { runs.append(try await scene.queued()) }
            let rows = try await scene.lend(&runs[0], for: .pause)
            try await scene.advance(runs[0].advance([EventDraft(.runPaused)], to: .init(to: .paused), consuming: rows))
            #expect(try await scene.standing().waiting == 3)
            #expect(try await scene.order(of: runs, count: 1) == [1])
            // Looked at while it is paused, it stays out of the line.
            var again = try await scene.lend(&runs[0], for: .resolve, id: "r")
            try await scene.advance(runs[0].advance([EventDraft(.stepResolved)], to: .init(to: .paused), consuming: again))
            again = try await scene.lend(&runs[0], for: .unpause, id: "u")
            try await scene.advance(runs[0].advance([EventDraft(.runUnpaused)], to: .init(to: .ready), consuming: again))
            #expect(try await scene.record(runs[0]).state == .queued)
            #expect(try await scene.order(of: [runs[0], runs[2], runs[3]]) == [0, 1, 2])
        },
        ConformanceCheck("A queued run is lent out at its deadline, not before, and keeps it until it is admitted") { scene in
            try await scene.limit(0)
            let deadline = scene.clock.now + .seconds(60)
            var run = try await scene.queued(deadline: deadline)
            #expect(try await scene.record(run).wakeAt == deadline)
            #expect(try await scene.store.nextWake(hosted: Scene.hosted) == deadline)
            var rows = try await scene.lend(&run, for: .repin)
            try await scene.advance(run.advance([EventDraft(.runRepinned)], to: .init(to: .ready, version: "1"), consuming: rows))
            #expect(try await scene.record(run).wakeAt == deadline)
            rows = try await scene.lend(&run, for: .pause, id: "p")
            try await scene.advance(run.advance([EventDraft(.runPaused)], to: .init(to: .paused), consuming: rows))
            rows = try await scene.lend(&run, for: .unpause, id: "u")
            try await scene.advance(run.advance([EventDraft(.runUnpaused)], to: .init(to: .queued), consuming: rows))
            scene.clock.advance(by: .seconds(59))
            #expect(try await scene.claim(ahead: .seconds(10)).isEmpty)
            #expect(try await scene.claim(only: [run.number], ahead: .seconds(10)).isEmpty)
            scene.clock.advance(by: .seconds(1))
            let claimed = try #require(try await scene.claim().first)
            #expect(claimed.previous == .queued && claimed.previousWakeAt == deadline && !claimed.record.isAdmitted)
            run.take(over: claimed)
            try await scene.advance(run.advance([EventDraft(.runFailed)], to: .init(to: .failed)))
            run = try await scene.queued(deadline: scene.clock.now + .seconds(60))
            try await scene.limit(1)
            #expect(try await scene.admit() == 1)
            #expect(try await scene.record(run).wakeAt == nil)
        },
        ConformanceCheck("What a queued run is told is there when it is admitted, and wakes it no sooner") { scene in
            try await scene.limit(0)
            let run = try await scene.queued()
            for kind in [InboxKind.signal, .update, .decision, .answer, .retry, .keySettled, .childResult] {
                try await scene.deliver(kind, to: run, id: kind.rawValue, name: "")
            }
            #expect(try await scene.claim().isEmpty)
            try await scene.limit(1)
            #expect(try await scene.admit() == 1)
            #expect(try await scene.claim().map(\.record.number) == [run.number])
            #expect(try await scene.store.inbox(run: run.number).count == 7)
        },
        ConformanceCheck("A queued run that changes its version stays in its line, for the hosts of that version") { scene in
            try await scene.limit(1)
            var run = try await scene.queued()
            let rows = try await scene.lend(&run, for: .repin)
            try await scene.advance(run.advance([EventDraft(.runRepinned)], to: .init(to: .ready, version: "2"), consuming: rows))
            #expect(try await scene.record(run).state == .queued)
            #expect(try await scene.admit() == 1)
            #expect(try await scene.claim().isEmpty)
            #expect(try await scene.claim(hosted: [.init(workflow: "greeting", version: "2")]).count == 1)
        },
        ConformanceCheck("A run that was not admitted is in no state that code leads to, and an admitted one is not queued") {
            scene in
            try await scene.limit(1)
            var run = try await scene.queued()
            _ = try await scene.lend(&run, for: .resolve)
            for transition in [
                RunTransition(to: .waiting), .init(to: .parked), .init(to: .blocked, blockedBuild: "b1"), .init(to: .completed),
            ] {
                var copy = run
                guard
                    case .invalid = try await scene.refusal(
                        of: .advance(copy.advance(Scene.closing(transition.state), to: transition)))
                else { throw Unexpected("a run that has executed nothing", transition.state) }
            }
            var owned = try await scene.owned()
            guard case .invalid = try await scene.refusal(of: .advance(owned.advance([], to: .init(to: .queued)))) else {
                throw Unexpected("a run without a queue", "queued")
            }
        },
        ConformanceCheck("The lent-out run of a node that dies goes back to its line, whoever takes it over") { scene in
            try await scene.limit(1)
            let deadline = scene.clock.now + .seconds(3_600)
            var runs = [try await scene.queued(deadline: deadline), try await scene.queued()]
            _ = try await scene.lend(&runs[0], for: .cancel)
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            // Nobody else begins in its place, and it does not begin itself.
            #expect(try await scene.admit() == 1)
            #expect(try await scene.admitted(runs) == [1])
            let claimed = try #require(try await scene.claim(hosted: [], as: heir).first)
            #expect(claimed.record.number == runs[0].number && claimed.isTakeover && !claimed.record.isAdmitted)
            runs[0].take(over: claimed)
            let rows = try await scene.store.inbox(run: runs[0].number).map(\.number)
            try await scene.advance(runs[0].advance([EventDraft(.statusReported)], to: .init(to: .ready), consuming: rows))
            let record = try await scene.record(runs[0])
            #expect(record.state == .queued && record.wakeAt == deadline)
            #expect(try await scene.store.queuePosition(of: runs[0].number)?.ahead == 0)
        },
        ConformanceCheck("Quarantine frees the place of a run, admitted or not") { scene in
            try await scene.limit(1)
            var runs: [SampleRun] = []
            for _ in 0..<4 { runs.append(try await scene.queued()) }
            try await scene.admit()
            try await scene.store.quarantine(runs[0].number, reason: "event 1 was changed")
            try await scene.store.quarantine(runs[1].number, reason: "event 1 was changed", ifUnownedSince: 0)
            #expect(try await scene.admit() == 1)
            #expect(try await scene.admitted(Array(runs[2...])) == [0])
            #expect(try await scene.standing().waiting == 1)
            var held = runs[2]
            held.take(over: try #require(try await scene.claim().first))
            try await scene.store.quarantine(held.number, reason: "event 1 was changed")
            #expect(try await scene.admit() == 1)
        },
        ConformanceCheck("A run that is continued hands its place on, and takes no second one") { scene in
            try await scene.limit(1)
            var run = try await scene.queued("k"), other = try await scene.queued("k")
            try await scene.admit()
            for _ in 0..<3 {
                run.take(over: try #require(try await scene.claim().first))
                let before = run
                run = try await scene.continued(&run)
                #expect(run.record.state == .ready && run.record.isAdmitted && run.record.queue == before.record.queue)
                #expect(try await scene.store.queuePosition(of: before.number) == nil)
                #expect(try await scene.store.queuePosition(of: run.number)?.isAdmitted == true)
                #expect(try await scene.admit() == 0)
            }
            try await scene.complete(run)
            #expect(try await scene.admit() == 1)
            other.record = try await scene.record(other)
            #expect(other.record.isAdmitted)
        },
        ConformanceCheck("Whatever answer is lost, repeating what concerns a queue comes to the same end") { scene in
            let sound = scene.store
            for call in 1...14 {
                scene.wrap { _ in FaultyStore(sound, .nth(call, .loseAnswer)) }
                try await queueStory(scene, sound, named: "call \(call)")
                scene.wrap { _ in sound }
                #expect(try await sound.audit().isEmpty, "call \(call)")
            }
        },
    ]

    /// For stores that several nodes share.
    package static let sharedQueues: [ConformanceCheck] = [
        ConformanceCheck("However many nodes admit at once, no limit is exceeded and nobody is forgotten") { scene in
            try await scene.limit(5, perKey: 2)
            var stores = [scene.store]
            for number in 2...4 { stores.append(try await scene.join(as: NodeID(rawValue: "node-\(number)"))) }
            let items = (0..<60).map { SampleRun(place: QueuePlace("mail", key: "\($0 % 4)")).creation }
            _ = try await scene.store.commit(items)
            var ended = 0
            while ended < 60 {
                let before = try await scene.standing().held
                let admitted = try await withThrowingTaskGroup(of: Int.self) { group in
                    for store in stores { group.addTask { try await scene.admit(through: store) } }
                    return try await group.reduce(0, +)
                }
                let standing = try await scene.standing()
                #expect(standing.held == before + admitted && standing.held <= 5)
                #expect(standing.held == min(5, 60 - ended) || standing.waitingKeys <= 2)
                let claims = try await scene.claim(2)
                try #require(!claims.isEmpty)
                for claim in claims {
                    var run = SampleRun()
                    run.take(over: claim)
                    try await scene.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
                    ended += 1
                }
            }
        }
    ]

    /// The life of a queue, each call repeated until it answers.
    private static func queueStory(_ scene: Scene, _ sound: any Store, named name: String) async throws {
        let queue = QueueKey(namespace: "default", name: name.replacing(" ", with: "-"))
        func again<Answer>(_ call: () async throws -> Answer) async throws -> Answer {
            while true {
                do { return try await call() } catch StoreError.outcomeUnknown {} catch StoreError.unavailable {}
            }
        }
        func admit() async throws {
            while let next = try await again({ try await scene.store.admit() }).next, next <= scene.clock.now {}
        }
        try await again { try await scene.store.setQueue(queue, QueueLimits(concurrency: 1), by: Sample.person) }
        var runs: [SampleRun] = []
        for _ in 0..<3 {
            let run = SampleRun(at: scene.clock.now, place: QueuePlace(queue.name))
            runs.append(try await again { try await scene.create(run) })
        }
        _ = try await again { try await scene.deliver(.resolve, to: runs[0], id: "r", name: "") }
        runs[0].take(over: try #require(try await again { try await scene.claim(hosted: []) }.first))
        let rows = try await sound.inbox(run: runs[0].number).map(\.number)
        // Without events: only the row tells that it was done.
        let back = runs[0].advance([], to: .init(to: .ready), consuming: rows)
        try await again { try await scene.advance(back) }
        try await admit()
        runs[0].take(over: try #require(try await again { try await scene.claim() }.first))
        let end = runs[0].advance([EventDraft(.runCompleted)], to: .init(to: .completed))
        try await again { try await scene.advance(end) }
        try await again { try await scene.store.quarantine(runs[1].number, reason: "why") }
        try await admit()
        #expect(try await sound.run(number: runs[2].number)?.isAdmitted == true, "\(name)")
        scene.wrap { _ in sound }
        try await scene.complete(runs[2])
    }
}
