internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let faults: [ConformanceCheck] = [
        ConformanceCheck("Whatever answer is lost, repeating the call comes to the same end") { scene in
            for fault in [StoreFault.refuse, .loseAnswer] {
                for call in 1...10 {
                    try await story(scene, .nth(call, fault), named: "\(fault) \(call)")
                }
            }
        },
        ConformanceCheck("The same holds for faults at random") { scene in
            for seed in UInt64(1)...12 {
                try await story(scene, .random(seed: seed, refuse: 0.2, loseAnswer: 0.3), named: "seed \(seed)")
            }
        },
        ConformanceCheck("Deliveries that come late and twice are taken in once") { scene in
            let sound = scene.store
            scene.wrap { FaultyStore($0, .random(seed: 7, refuse: 0, loseAnswer: 0, duplicate: 0.5, delay: 0.5)) }
            let run = try await scene.owned()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<30 { group.addTask { try await scene.deliver(to: run, id: "\(number)") } }
                try await group.waitForAll()
            }
            scene.wrap { _ in sound }
            #expect(try await scene.store.inbox(run: run.number).count == 30)
        },
    ]

    /// The life of a run, told through a store that fails by plan, each call repeated until it answers.
    private static func story(_ scene: Scene, _ plan: FaultyStore.Plan, named name: String) async throws {
        let sound = scene.store
        defer { scene.wrap { _ in sound } }
        let faulty = FaultyStore(sound, plan)
        let key = BusinessKey(namespace: "default", step: "charge", key: name)

        func commit(_ items: [CommitItem]) async throws -> [CommitResult] {
            try await repeating { () throws(StoreError) in try await faulty.commit(items) }
        }
        func advance(_ advance: RunAdvance) async throws {
            guard let result = try await commit([.advance(advance)]).first, isAdvanced(result) else {
                throw Unexpected("\(name): an advance", plan)
            }
        }

        let given = SampleRun(key: name)
        guard case .created(let record) = try await commit([given.creation]).first else { throw Unexpected(name, "no run") }
        var run = given
        run.record = record
        let request = ClaimRequest(node: scene.node, build: "b1", hosted: Scene.hosted, limit: 1, only: [run.number])
        let claimed = try await repeating { () throws(StoreError) in try await faulty.claim(request).runs }
        run.take(over: try #require(claimed.first, "\(name): the claim was lost"))
        let message = Delivery(to: record.id, id: "d", kind: .signal, sender: Sample.person)
        _ = try await commit([.deliver(message)])
        let take = BusinessKeyTake(key: key, generation: 1, subject: "charge", inputDigest: "d")
        try await advance(run.advance([EventDraft(.stepIntended, subject: "charge")], takes: [take]))
        try await advance(
            run.advance(
                [EventDraft(.stepSucceeded, subject: "charge")],
                settles: [.init(key: key, subject: "charge", end: .happened(output: [1]))]))
        let rows = try await sound.inbox(run: run.number)
        let child = SampleRun(parent: run)
        let greeting = Delivery(to: child.record.id, id: "from the parent", kind: .signal, sender: Sample.person)
        try await advance(
            run.advance(
                [EventDraft(.signalReceived), EventDraft(.childStarted, subject: "child")], consuming: rows.map(\.number),
                children: [child], deliveries: [greeting]))
        try await advance(run.advance([EventDraft(.timerStarted)], to: .init(to: .waiting, wakeAt: scene.clock.now)))
        let woken = try await repeating { () throws(StoreError) in try await faulty.claim(request).runs }
        run.take(over: try #require(woken.first, "\(name): the second claim was lost"))
        try await advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))

        #expect(rows.count == 1, "\(name)")
        #expect(try await sound.events(of: run.number, after: 0, limit: 100) == run.events, "\(name)")
        #expect(try await sound.run(record.id)?.epoch == 2, "\(name)")
        let made = try #require(try await sound.run(child.record.id), "\(name): the child was lost")
        #expect(try await sound.events(of: made.number, after: 0, limit: 100) == child.events, "\(name)")
        #expect(try await sound.inbox(run: made.number).count == 1, "\(name)")
        #expect(try await sound.audit().isEmpty, "\(name)")
    }

    /// What every caller of a store does: it asks the same again until it is answered.
    private static func repeating<Answer>(_ call: () async throws(StoreError) -> Answer) async throws -> Answer {
        for _ in 0..<100 {
            do {
                return try await call()
            } catch StoreError.unavailable, StoreError.outcomeUnknown {
                continue
            }
        }
        throw Unexpected("a call repeated a hundred times", "no answer")
    }
}
