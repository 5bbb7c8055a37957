internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// Closed runs whose time is over.
    static let retention: [ConformanceCheck] = [
        ConformanceCheck("An expired run leaves its row and one event, which continues its chain") { scene in
            for state in RunState.allCases where state.isFinal {
                let run = try await scene.resting(.init(to: state))
                let closed = try await scene.record(run)
                scene.clock.advance(by: .seconds(60))
                let answer = try await scene.expire()
                #expect(answer.expired == 1 && answer.isDone)
                var expected = closed
                expected.tombstone = Tombstone(expiredAt: scene.clock.now, lastSeq: run.head.seq, lastHash: run.head.hash)
                #expect(try await scene.record(run) == expected)
                let history = try await scene.history(run)
                #expect(history.map(\.kind) == [.runExpired])
                #expect(history.first?.seq == run.head.seq + 1 && history.first?.at == scene.clock.now)
                #expect(try history.first?.attributes.object()["state"]?.stringValue == state.rawValue)
                #expect(try history.first?.attributes.object()["last_hash"]?.stringValue == run.head.hash.description)
                #expect(throws: Never.self) { try EventChain.verify(history, run: run.record.id.description, from: run.head) }
                #expect(try await scene.store.events(of: run.number, before: .max, limit: 10) == history)
                #expect(try await scene.store.runs(RunFilter(limit: 1)) == [expected])
            }
            #expect(try await scene.expire().expired == 0)
        },
        ConformanceCheck("A run expires when its time is over, the one that closed first before others") { scene in
            let first = try await scene.resting(.init(to: .completed))
            scene.clock.advance(by: .seconds(60))
            let second = try await scene.resting(.init(to: .failed))
            let border = scene.clock.now
            #expect(try await scene.expire(closedBefore: border).expired == 1)
            #expect(try await scene.record(first).tombstone != nil)
            #expect(try await scene.record(second).tombstone == nil)
            #expect(try await scene.expire(closedBefore: nil).expired == 0)
            #expect(try await scene.expire(closedBefore: border + .microseconds(1)).expired == 1)
        },
        ConformanceCheck("A run that is open, owned or quarantined does not expire") { scene in
            for state in [RunState.ready, .waiting, .parked, .paused] { _ = try await scene.resting(.init(to: state)) }
            _ = try await scene.resting(.init(to: .blocked, blockedBuild: "b1"))
            _ = try await scene.owned()
            let broken = try await scene.resting(.init(to: .completed))
            try await scene.store.quarantine(broken.number, reason: "event 2 was changed")
            scene.clock.advance(by: .seconds(60))
            let answer = try await scene.expire()
            #expect(answer.expired == 0 && answer.isDone)
        },
        ConformanceCheck("A terminated run waits with its expiry for its doubts, its messages and its borrower") { scene in
            var run = try await scene.owned()
            try await scene.advance(
                run.advance(
                    [
                        EventDraft(.stepInDoubt, subject: "a"), EventDraft(.stepResolved, subject: "a"),
                        EventDraft(.undoInDoubt, subject: "a"), EventDraft(.stepSucceeded, subject: "b"),
                        EventDraft(.runTerminated),
                    ], to: .init(to: .terminated)))
            scene.clock.advance(by: .seconds(60))
            #expect(try await scene.expire().expired == 0)
            try await scene.deliver(.resolve, to: run, id: "r")
            #expect(try await scene.expire().expired == 0)
            run.take(over: try #require(try await scene.claim(hosted: []).first))
            #expect(try await scene.expire().expired == 0)
            let rows = try await scene.store.inbox(run: run.number).map(\.number)
            try await scene.advance(
                run.advance([EventDraft(.undoResolved, subject: "a")], to: .init(to: .terminated), consuming: rows))
            #expect(try await scene.expire().expired == 1)
        },
        ConformanceCheck("A run with an open child does not expire") { scene in
            for end in [EventKind?.none, .childCompleted, .childFailed, .childCancelled] {
                var run = try await scene.owned()
                let drafts = [EventDraft(.childStarted, subject: "a")] + (end.map { [EventDraft($0, subject: "a")] } ?? [])
                try await scene.advance(run.advance(drafts + [EventDraft(.runCompleted)], to: .init(to: .completed)))
                scene.clock.advance(by: .seconds(60))
                #expect(try await scene.expire().expired == (end == nil ? 0 : 1))
            }
        },
        ConformanceCheck("A child on its own does not keep the run that started it") { scene in
            var run = try await scene.owned()
            let detached = EventDraft(.childStarted, subject: "a", attributes: ["detached": true])
            try await scene.advance(
                run.advance(
                    [detached, EventDraft(.childStarted, subject: "b"), EventDraft(.runCompleted)], to: .init(to: .completed)))
            scene.clock.advance(by: .seconds(60))
            #expect(try await scene.expire().expired == 0)
            var other = try await scene.owned()
            try await scene.advance(other.advance([detached, EventDraft(.runCompleted)], to: .init(to: .completed)))
            scene.clock.advance(by: .seconds(60))
            #expect(try await scene.expire().expired == 1)
        },
        ConformanceCheck("Of many children one that is open is found, and none if none is") { scene in
            for openChild in [1_500, nil] as [Int?] {
                var run = try await scene.owned()
                var drafts = (0..<3_000).map { EventDraft(.childStarted, subject: "c\($0)") }
                drafts += (0..<3_000).filter { $0 != openChild }.map { EventDraft(.childCompleted, subject: "c\($0)") }
                try await scene.advance(run.advance(drafts + [EventDraft(.runCompleted)], to: .init(to: .completed)))
                scene.clock.advance(by: .seconds(60))
                let expired = try await scene.expire(limit: 10_000).expired
                #expect(expired == (openChild == nil ? 1 : 0))
            }
        },
        ConformanceCheck("The workflow key of an expired run is taken until its tombstone is removed") { scene in
            var run = try await scene.owned(key: "order 7")
            try await scene.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
            scene.clock.advance(by: .seconds(60))
            _ = try await scene.expire()
            guard case .keyTaken(let holder) = try await scene.commit(SampleRun(key: "order 7").creation) else {
                throw Unexpected("a taken key", run)
            }
            #expect(holder.id == run.record.id && holder.tombstone != nil && holder.inputDigest == run.record.inputDigest)
            let expiry = scene.clock.now
            // A store may keep tombstones for a while, whatever is asked for.
            scene.clock.advance(by: .minutes(30))
            #expect(try await scene.expire(expiredBefore: expiry).removed == 0)
            let answer = try await scene.expire(expiredBefore: expiry + .microseconds(1))
            #expect(answer.removed == 1 && answer.isDone)
            #expect(try await scene.store.run(run.record.id) == nil)
            #expect(try await scene.store.events(of: run.number, after: 0, limit: 10).isEmpty)
            _ = try await scene.create(SampleRun(key: "order 7"))
        },
        ConformanceCheck("An expired run takes in no message, not even one that it had taken in before") { scene in
            var run = try await scene.owned()
            try await scene.deliver(to: run, id: "d")
            let rows = try await scene.store.inbox(run: run.number).map(\.number)
            try await scene.advance(run.advance([EventDraft(.runTerminated)], to: .init(to: .terminated), consuming: rows))
            scene.clock.advance(by: .seconds(60))
            _ = try await scene.expire()
            for kind in [InboxKind.signal, .resolve] {
                let delivery = Delivery(to: run.record.id, id: "d", kind: kind, sender: Sample.person)
                #expect(try await scene.refusal(of: .deliver(delivery)) == .runClosed)
            }
        },
        ConformanceCheck("Long histories are removed over many calls, of which none is seen from outside") { scene in
            var long = try await scene.owned()
            let value = StoredValue.inline([UInt8](repeating: 120, count: 70_000))
            try await scene.advance(long.advance((0..<300).map { EventDraft(.stepSucceeded, subject: "s\($0)") }))
            try await scene.advance(
                long.advance([EventDraft(.stepSucceeded, output: value), EventDraft(.runCompleted)], to: .init(to: .completed)))
            for _ in 0..<20 { _ = try await scene.resting(.init(to: .completed)) }
            scene.clock.advance(by: .seconds(60))
            var position: ExpiryPosition?, expired = 0, calls = 0
            while true {
                let answer = try await scene.expire(position: position, limit: 10)
                expired += answer.expired
                calls += 1
                position = answer.position
                #expect(try await scene.history(long).map(\.kind) == [.runExpired])
                #expect(try await scene.store.audit().isEmpty)
                if answer.isDone { break }
                // What one process has begun, the next one ends.
                if calls == 5 { try await scene.restart(as: NodeID(rawValue: "node-2")) }
            }
            #expect(expired == 21)
            #expect(calls > 30)
        },
        ConformanceCheck("Runs that may not expire do not keep a round from its end") { scene in
            for _ in 0..<100 {
                var run = try await scene.owned()
                try await scene.advance(
                    run.advance([EventDraft(.stepInDoubt, subject: "a"), EventDraft(.runTerminated)], to: .init(to: .terminated)))
            }
            let last = try await scene.resting(.init(to: .completed))
            scene.clock.advance(by: .seconds(60))
            var position: ExpiryPosition?, calls = 0
            while true {
                let answer = try await scene.expire(position: position, limit: 10)
                position = answer.position
                calls += 1
                if answer.isDone { break }
            }
            #expect(try await scene.record(last).tombstone != nil)
            #expect(calls < 20)
        },
    ]
}

extension Scene {
    /// Lets every run expire that closed before now.
    fileprivate func expire(position: ExpiryPosition? = nil, limit: Int = 1_000) async throws -> Expiry {
        try await store.expire(ExpiryRequest(closedBefore: clock.now, position: position, limit: limit))
    }

    fileprivate func expire(closedBefore: Timestamp?) async throws -> Expiry {
        try await store.expire(ExpiryRequest(closedBefore: closedBefore, limit: 1_000))
    }

    fileprivate func expire(expiredBefore: Timestamp) async throws -> Expiry {
        try await store.expire(ExpiryRequest(closedBefore: nil, expiredBefore: expiredBefore, limit: 1_000))
    }
}
