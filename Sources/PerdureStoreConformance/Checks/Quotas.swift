internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// What namespaces may take, and who is refused.
    static let quotas: [ConformanceCheck] = [
        ConformanceCheck("Quotas come back as they were set, with what is taken, and stay when the process ends") { scene in
            let quotas = NamespaceQuotas(openRuns: 3, payloadBytes: 1_000, starts: .init(10, per: .seconds(60), burst: 4))
            _ = try await scene.waiting()
            #expect(try await scene.store.quotas() == [])
            #expect(try await scene.client().setQuotas(QuotaChange("default", from: .none, to: quotas, by: Sample.person)))
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            let standing = try #require(try await scene.store.quotas().first)
            #expect(standing.quotas == quotas && standing.changedBy == Sample.person && standing.openRuns == 1)
            #expect(standing.payloadBytes == 14)
            try await scene.set(.none, from: quotas)
            #expect(try await scene.store.quotas() == [])
        },
        ConformanceCheck("Of several changes of quotas that stand on one state one is made") { scene in
            let first = NamespaceQuotas(openRuns: 1), second = NamespaceQuotas(openRuns: 2)
            try await scene.set(first)
            // Its answer was lost: the same is said again.
            try await scene.set(first)
            let change = QuotaChange("default", from: .none, to: second, by: Sample.person)
            #expect(try await scene.store.setQuotas(change) == false)
            try await scene.set(second, from: first)
            #expect(try await scene.store.quotas().map(\.quotas) == [second])
            let nobody = QuotaChange("a/b", from: .none, to: first, by: Sample.person)
            await #expect(throws: StoreError.self) { try await scene.store.setQuotas(nobody) }
        },
        ConformanceCheck("Nobody starts a run beyond the number of open runs, and the end of one makes room") { scene in
            try await scene.set(NamespaceQuotas(openRuns: 2))
            var runs = [try await scene.owned(), try await scene.waiting()]
            let third = SampleRun(at: scene.clock.now)
            let refusal = QuotaRefusal(namespace: "default", quota: .openRuns, limit: 2, used: 2)
            #expect(try await scene.refusal(of: third.creation) == .quotaExceeded(refusal))
            #expect(try await scene.store.run(third.record.id) == nil)
            // Of another namespace nothing is asked.
            _ = try await scene.create(SampleRun(namespace: "other"))
            try await scene.advance(runs[0].advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
            _ = try await scene.create(third)
            #expect(try await scene.taken().openRuns == 2)
            #expect(try await scene.refusal(of: SampleRun().creation) == .quotaExceeded(refusal))
        },
        ConformanceCheck("Runs that are open when a quota is set count, and so do those of every state but ended and quarantined")
        {
            scene in
            for transition in [
                RunTransition(to: .waiting), .init(to: .parked), .init(to: .paused), .init(to: .blocked, blockedBuild: "b"),
                .init(to: .ready), .init(to: .completed), .init(to: .failed), .init(to: .cancelled), .init(to: .terminated),
            ] { _ = try await scene.resting(transition) }
            let broken = try await scene.waiting()
            _ = try await scene.owned()
            try await scene.store.quarantine(broken.number, reason: "broken")
            try await scene.set(NamespaceQuotas(openRuns: 100))
            #expect(try await scene.taken().openRuns == 6)
            let other = try await scene.waiting()
            #expect(try await scene.taken().openRuns == 7)
            try await scene.store.quarantine(other.number, reason: "broken")
            #expect(try await scene.taken().openRuns == 6)
        },
        ConformanceCheck("Where a quota is lowered below what is open nothing ends and nothing starts") { scene in
            try await scene.set(NamespaceQuotas(openRuns: 5))
            var runs: [SampleRun] = []
            for _ in 0..<3 { runs.append(try await scene.owned()) }
            try await scene.set(NamespaceQuotas(openRuns: 1), from: NamespaceQuotas(openRuns: 5))
            for place in 0..<3 {
                let refusal = QuotaRefusal(namespace: "default", quota: .openRuns, limit: 1, used: Int64(3 - place))
                #expect(try await scene.refusal(of: SampleRun().creation) == .quotaExceeded(refusal))
                try await scene.advance(runs[place].advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
            }
            _ = try await scene.owned()
            try await scene.set(NamespaceQuotas(openRuns: 0), from: NamespaceQuotas(openRuns: 1))
            guard case .quotaExceeded = try await scene.refusal(of: SampleRun().creation) else { throw Unexpected("a start", "") }
            try await scene.set(.none, from: NamespaceQuotas(openRuns: 0))
            _ = try await scene.owned()
        },
        ConformanceCheck("A start that was made before is found, whatever the quotas say") { scene in
            try await scene.set(NamespaceQuotas(openRuns: 1))
            let run = try await scene.owned(key: "k")
            guard case .created(let same) = try await scene.commit(run.creation) else { throw Unexpected("the same start", "") }
            #expect(same.id == run.record.id)
            guard case .keyTaken(let holder) = try await scene.commit(SampleRun(key: "k").creation) else {
                throw Unexpected("the start of the same key", "")
            }
            #expect(holder.id == run.record.id)
            #expect(try await scene.taken().openRuns == 1)
        },
        ConformanceCheck("Of starts in one commit as many are made as there is room for") { scene in
            try await scene.set(NamespaceQuotas(openRuns: 3))
            let results = try await scene.store.commit((0..<5).map { _ in SampleRun(at: scene.clock.now).creation })
            #expect(results.map { if case .created = $0 { true } else { false } } == [true, true, true, false, false])
            #expect(try await scene.taken().openRuns == 3)
        },
        ConformanceCheck("Children and runs that continue others are never refused, and count") { scene in
            try await scene.set(NamespaceQuotas(openRuns: 1, payloadBytes: 1, starts: .init(1, per: .seconds(60))))
            try await scene.set(
                NamespaceQuotas(openRuns: 1, starts: .init(1, per: .seconds(60))),
                from: NamespaceQuotas(openRuns: 1, payloadBytes: 1, starts: .init(1, per: .seconds(60))))
            var parent = try await scene.owned(key: "k")
            let children = (0..<3).map { _ in SampleRun(parent: parent) }
            try await scene.advance(parent.advance([EventDraft(.childStarted, subject: "child")], children: children))
            #expect(try await scene.taken().openRuns == 4)
            let next = SampleRun(key: "k", continuing: parent)
            try await scene.advance(
                parent.advance([EventDraft(.runContinued)], to: .init(to: .completed), successor: next))
            #expect(try await scene.record(next).state == .ready)
            #expect(try await scene.taken().openRuns == 4)
        },
        ConformanceCheck("Starts come no faster than their rate, in bursts, and whoever is refused learns when it opens") {
            scene in
            try await scene.set(NamespaceQuotas(starts: .init(2, per: .seconds(10), burst: 3)))
            let results = try await scene.store.commit((0..<4).map { _ in SampleRun(at: scene.clock.now).creation })
            #expect(results.map { if case .created = $0 { true } else { false } } == [true, true, true, false])
            let refusal = QuotaRefusal(
                namespace: "default", quota: .starts, limit: 2, used: 2, wait: .seconds(5), spacing: .seconds(5))
            #expect(try await scene.refusal(of: SampleRun().creation) == .quotaExceeded(refusal))
            // Who is refused takes nothing.
            scene.clock.advance(by: .seconds(5))
            _ = try await scene.create(SampleRun(at: scene.clock.now))
            #expect(try await scene.refusal(of: SampleRun().creation) == .quotaExceeded(refusal))
            scene.clock.advance(by: .seconds(100))
            for _ in 0..<3 { _ = try await scene.create(SampleRun(at: scene.clock.now)) }
            guard case .quotaExceeded = try await scene.refusal(of: SampleRun().creation) else { throw Unexpected("a start", "") }
        },
        ConformanceCheck("A start that is refused for something else takes nothing of the rate") { scene in
            try await scene.set(NamespaceQuotas(starts: .init(1, per: .seconds(60))))
            let run = SampleRun(place: QueuePlace("none"))
            #expect(try await scene.refusal(of: run.creation) == .queueUnknown("none"))
            _ = try await scene.owned()
        },
    ]

    /// What is stored of values, and schedules.
    static let quotasOfValues: [ConformanceCheck] = [
        ConformanceCheck("Inputs and outputs count in bytes, large ones once in each run, until they are removed") { scene in
            var early = try await scene.create(SampleRun(owner: scene.node, input: #""é""#))
            try await scene.set(NamespaceQuotas(payloadBytes: 1_000_000))
            #expect(try await scene.taken().payloadBytes == 4)
            let large = StoredValue.inline([UInt8](repeating: 65, count: 70_000))
            let small = StoredValue.inline([0, 255, 1])
            try await scene.advance(
                early.advance([
                    EventDraft(.stepSucceeded, subject: "a", input: large, output: small),
                    EventDraft(.stepSucceeded, subject: "b", output: large),
                ]))
            #expect(try await scene.taken().payloadBytes == 70_007)
            var other = try await scene.create(SampleRun(owner: scene.node, input: "{}"))
            try await scene.advance(other.advance([EventDraft(.stepSucceeded, subject: "a", output: large)]))
            #expect(try await scene.taken().payloadBytes == 140_009)
            try await scene.advance(other.advance([EventDraft(.runCompleted, output: small)], to: .init(to: .completed)))
            #expect(try await scene.taken().payloadBytes == 140_012)
            scene.clock.advance(by: .seconds(1))
            var request = ExpiryRequest(closedBefore: scene.clock.now, expiredBefore: nil, limit: 2)
            while true {
                let answer = try await scene.store.expire(request)
                if answer.isDone { break }
                request.position = answer.position
            }
            #expect(try await scene.taken().payloadBytes == 70_007)
            scene.clock.advance(by: .minutes(30))
            let removal = ExpiryRequest(closedBefore: nil, expiredBefore: scene.clock.now, limit: 1_000)
            #expect(try await scene.store.expire(removal).removed == 1)
            #expect(try await scene.taken().payloadBytes == 70_007)
        },
        ConformanceCheck("Nobody starts a run whose input has no room, and what is under way goes on") { scene in
            try await scene.set(NamespaceQuotas(payloadBytes: 10))
            var run = try await scene.create(SampleRun(owner: scene.node, input: "\"1234567\""))
            guard case .quotaExceeded(let refusal) = try await scene.refusal(of: SampleRun(input: "{}").creation) else {
                throw Unexpected("a start", "")
            }
            #expect(refusal == QuotaRefusal(namespace: "default", quota: .payload, limit: 10, used: 9))
            try await scene.deliver(to: run, id: "a", payload: [UInt8](repeating: 65, count: 100))
            let output = StoredValue.inline([UInt8](repeating: 65, count: 100))
            try await scene.advance(run.advance([EventDraft(.stepSucceeded, subject: "a", output: output)]))
            #expect(try await scene.taken().payloadBytes == 109)
            try await scene.set(NamespaceQuotas(payloadBytes: 111), from: NamespaceQuotas(payloadBytes: 10))
            _ = try await scene.create(SampleRun(input: "{}"))
        },
        ConformanceCheck("A quota of bytes that is set later counts what was stored before it") { scene in
            try await scene.set(NamespaceQuotas(openRuns: 10))
            _ = try await scene.create(SampleRun(input: "{}"))
            #expect(try await scene.taken().payloadBytes == nil)
            try await scene.set(NamespaceQuotas(openRuns: 10, payloadBytes: 100), from: NamespaceQuotas(openRuns: 10))
            #expect(try await scene.taken().payloadBytes == 2)
            _ = try await scene.create(SampleRun(input: "[]"))
            #expect(try await scene.taken().payloadBytes == 4)
        },
        ConformanceCheck("A schedule starts all runs of a change or none, and its change is not made then") { scene in
            try await scene.set(NamespaceQuotas(openRuns: 2))
            _ = try await scene.owned()
            let row = row("nightly", 1, due: 5)
            let two = ScheduleChange(row.key, on: nil, to: row, starts: [SampleRun(key: "a").new, SampleRun(key: "b").new])
            guard case .quotaExceeded = try await scene.refusal(of: .schedule(two)) else { throw Unexpected("two starts", "") }
            #expect(try await scene.store.schedules(.one(row.key)) == [])
            let one = ScheduleChange(row.key, on: nil, to: row, starts: [SampleRun(key: "a").new])
            guard case .scheduled = try await scene.commit(.schedule(one)) else { throw Unexpected("one start", "") }
            guard case .scheduled = try await scene.commit(.schedule(one)) else { throw Unexpected("the same again", "") }
            #expect(try await scene.taken().openRuns == 2)
            // What starts nothing is never refused.
            let none = ScheduleChange(row.key, on: 1, to: nil)
            guard case .scheduled = try await scene.commit(.schedule(none)) else { throw Unexpected("no start", "") }
        },
        ConformanceCheck("What is taken stays right whatever call fails or loses its answer") { scene in
            let sound = scene.store
            for call in 1...6 {
                for fault in [StoreFault.refuse, .loseAnswer] {
                    let name = "n\(call)-\(fault)"
                    scene.wrap { _ in FaultyStore(sound, .nth(call, fault)) }
                    try await quotaStory(scene, in: name)
                    scene.wrap { _ in sound }
                    let standing = try #require(try await sound.quotas().first { $0.namespace == name })
                    #expect(standing.openRuns == 1)
                }
            }
        },
    ]

    /// What every store keeps where nodes share it.
    package static let sharedQuotas: [ConformanceCheck] = [
        ConformanceCheck("However many nodes start at once, the last place is taken once") { scene in
            let other = try await scene.join(as: NodeID(rawValue: "node-2"))
            for round in 0..<10 {
                let name = "n\(round)"
                try await scene.set(NamespaceQuotas(openRuns: 5), of: name)
                let created = try await withThrowingTaskGroup(of: Int.self) { group in
                    for place in 0..<16 {
                        group.addTask {
                            let run = SampleRun(namespace: name)
                            let results = try await (place % 2 == 0 ? scene.store : other).commit([run.creation])
                            return results.reduce(0) { if case .created = $1 { $0 + 1 } else { $0 } }
                        }
                    }
                    return try await group.reduce(0, +)
                }
                #expect(created == 5)
            }
        },
        ConformanceCheck("What begins and ends while quotas are set is counted") { scene in
            let other = try await scene.join(as: NodeID(rawValue: "node-2"))
            for round in 0..<6 {
                let name = "n\(round)"
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<2 {
                        group.addTask {
                            for _ in 0..<10 {
                                var run = SampleRun(namespace: name, owner: NodeID(rawValue: "node-2"), input: "{}")
                                guard case .created(let record)? = try await other.commit([run.creation]).first else { continue }
                                run.record = record
                                let end = run.advance([EventDraft(.runCompleted)], to: .init(to: .completed))
                                _ = try await other.commit([.advance(end)])
                            }
                        }
                    }
                    group.addTask { try await scene.set(NamespaceQuotas(openRuns: 100, payloadBytes: 10_000), of: name) }
                    try await group.waitForAll()
                }
                #expect(try await scene.taken(of: name).openRuns == 0)
                #expect(try await scene.taken(of: name).payloadBytes == 40)
            }
        },
    ]

    /// Each call repeated until it answers.
    private static func quotaStory(_ scene: Scene, in namespace: String) async throws {
        func again<Answer>(_ call: () async throws -> Answer) async throws -> Answer {
            while true {
                do { return try await call() } catch StoreError.outcomeUnknown {} catch StoreError.unavailable {}
            }
        }
        let quotas = NamespaceQuotas(openRuns: 2, payloadBytes: 10_000)
        let change = QuotaChange(namespace, from: .none, to: quotas, by: Sample.person)
        #expect(try await again { try await scene.store.setQuotas(change) })
        var runs = [SampleRun(namespace: namespace, owner: scene.node), SampleRun(namespace: namespace, owner: scene.node)]
        for place in runs.indices {
            let item = runs[place].creation
            guard case .created(let record)? = try await again({ try await scene.store.commit([item]) }).first else {
                throw Unexpected("a start", namespace)
            }
            runs[place].record = record
        }
        let late = SampleRun(namespace: namespace).creation
        guard case .refused(.quotaExceeded)? = try await again({ try await scene.store.commit([late]) }).first else {
            throw Unexpected("a start too many", namespace)
        }
        let end = runs[0].advance([EventDraft(.runCompleted)], to: .init(to: .completed))
        _ = try await again { try await scene.store.commit([.advance(end)]) }
    }
}

extension NamespaceQuotas {
    fileprivate static let none = NamespaceQuotas()
}

extension Scene {
    fileprivate func set(
        _ quotas: NamespaceQuotas, from expected: NamespaceQuotas = NamespaceQuotas(), of namespace: String = "default"
    ) async throws {
        guard try await store.setQuotas(QuotaChange(namespace, from: expected, to: quotas, by: Sample.person)) else {
            throw Unexpected("setting quotas", namespace)
        }
    }

    fileprivate func taken(of namespace: String = "default") async throws -> QuotaStanding {
        try #require(try await store.quotas().first { $0.namespace == namespace })
    }
}
