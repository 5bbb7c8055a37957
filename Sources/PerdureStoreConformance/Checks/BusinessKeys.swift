internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    private static let key = BusinessKey(namespace: "default", step: "charge", key: "order 7")

    private static func take(_ subject: String = "charge#1", generation: Int = 1, digest: String = "d") -> BusinessKeyTake {
        BusinessKeyTake(key: key, generation: generation, subject: subject, inputDigest: digest)
    }

    private static let intent = EventDraft(.stepIntended, subject: "charge#1")
    private static let success = EventDraft(.stepSucceeded, subject: "charge#1")

    static let businessKeys: [ConformanceCheck] = [
        ConformanceCheck("A key is taken in the commit of the intent, and read back") { scene in
            #expect(try await scene.store.keyHolder(key) == nil)
            var run = try await scene.owned()
            try await scene.advance(run.advance([intent], takes: [take()]))
            let expected = BusinessKeyRecord(
                key: key, generation: 1, holder: run.record.id, subject: "charge#1", inputDigest: "d", outcome: .open)
            #expect(try await scene.store.keyHolder(key) == expected)
        },
        ConformanceCheck("Another run that asks for a taken key is refused with its holder, and writes nothing") { scene in
            var first = try await scene.owned(), second = try await scene.owned()
            try await scene.advance(first.advance([intent], takes: [take()]))
            var attempt = second
            let refusal = try await scene.refusal(of: .advance(attempt.advance([intent], takes: [take()])))
            #expect(refusal == .businessKeyTaken(try #require(try await scene.store.keyHolder(key))))
            #expect(try await scene.history(second) == second.events)
            try await scene.advance(second.advance([EventDraft(.statusReported)]))
        },
        ConformanceCheck("Two runs that take one key in one commit: the first has it") { scene in
            var first = try await scene.owned(), second = try await scene.owned()
            let results = try await scene.store.commit([
                .advance(first.advance([intent], takes: [take()])), .advance(second.advance([intent], takes: [take()])),
            ])
            #expect(results.map(isAdvanced) == [true, false])
            #expect(try await scene.store.keyHolder(key)?.holder == first.record.id)
        },
        ConformanceCheck("The same step of the same run may take its key again; another step of it may not") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance([intent], takes: [take()]))
            try await scene.advance(run.advance([intent], takes: [take()]))
            var attempt = run
            guard
                case .businessKeyTaken = try await scene.refusal(
                    of: .advance(attempt.advance([intent], takes: [take("charge#2")])))
            else {
                Issue.record("two steps hold one key")
                return
            }
        },
        ConformanceCheck("Two steps that take one key in one batch are refused together") { scene in
            var run = try await scene.owned()
            var attempt = run
            let both = attempt.advance([intent, intent], takes: [take(), take("charge#2")])
            guard case .invalid = try await scene.refusal(of: .advance(both)) else {
                Issue.record("not refused as invalid")
                return
            }
            #expect(try await scene.store.keyHolder(key) == nil)
            try await scene.advance(run.advance([intent], takes: [take()]))
        },
        ConformanceCheck("A waiter is told in the commit in which the key's step happened, and adopts its output") { scene in
            var holder = try await scene.owned()
            let waiter = try await scene.waiting()
            try await scene.advance(holder.advance([intent], takes: [take()]))
            #expect(try await scene.store.awaitKey(key, run: waiter.number, subject: "charge#1") == nil)
            #expect(try await scene.claim().isEmpty)
            let settlement = BusinessKeySettlement(
                key: key, subject: "charge#1", end: .happened(output: Array(#"{"id":9}"#.utf8)))
            let advance = holder.advance([success], settles: [settlement])
            try await scene.advance(advance)
            try await scene.advance(advance)
            let rows = try await scene.store.inbox(run: waiter.number)
            #expect(rows.map(\.delivery.kind) == [.keySettled] && rows.first?.delivery.name == "charge#1")
            #expect(try await scene.store.keyHolder(key)?.outcome == .happened(output: Array(#"{"id":9}"#.utf8)))
            #expect(try await scene.claim().map(\.record.number) == [waiter.number])
        },
        ConformanceCheck("Who asks after the settlement gets the record at once and is not told again") { scene in
            var holder = try await scene.owned()
            let late = try await scene.waiting()
            try await scene.advance(holder.advance([intent], takes: [take()]))
            try await scene.advance(
                holder.advance([success], settles: [.init(key: key, subject: "charge#1", end: .happened(output: [1, 0]))]))
            let record = try await scene.store.awaitKey(key, run: late.number, subject: "charge#1")
            #expect(record?.outcome == .happened(output: [1, 0]) && record?.holder == holder.record.id)
            #expect(try await scene.store.inbox(run: late.number).isEmpty)
        },
        ConformanceCheck("A key that becomes free goes to the next generation, and to whoever names it") { scene in
            var first = try await scene.owned(), second = try await scene.owned()
            try await scene.advance(first.advance([intent], takes: [take()]))
            try await scene.advance(
                first.advance(
                    [EventDraft(.stepFailed, subject: "charge#1")], settles: [.init(key: key, subject: "charge#1", end: .free)]))
            let free = try #require(try await scene.store.keyHolder(key))
            #expect(free.outcome == .free && free.generation == 2)
            #expect(try await scene.store.awaitKey(key, run: second.number, subject: "charge#1") == free)
            var attempt = second
            #expect(try await scene.refusal(of: .advance(attempt.advance([intent], takes: [take()]))) == .businessKeyTaken(free))
            try await scene.advance(second.advance([intent], takes: [take(generation: 2, digest: "other")]))
            let taken = try #require(try await scene.store.keyHolder(key))
            #expect(taken.holder == second.record.id && taken.generation == 2 && taken.inputDigest == "other")
        },
        ConformanceCheck("An effect that is undone after it happened frees its key") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance([intent], takes: [take()]))
            try await scene.advance(
                run.advance([success], settles: [.init(key: key, subject: "charge#1", end: .happened(output: []))]))
            try await scene.advance(
                run.advance([EventDraft(.undoSucceeded)], settles: [.init(key: key, subject: "charge#1", end: .free)]))
            #expect(try await scene.store.keyHolder(key)?.outcome == .free)
        },
        ConformanceCheck("Only the holder settles a key") { scene in
            var holder = try await scene.owned(), other = try await scene.owned()
            try await scene.advance(holder.advance([intent], takes: [take()]))
            try await scene.advance(
                other.advance([EventDraft(.statusReported)], settles: [.init(key: key, subject: "charge#1", end: .free)]))
            #expect(try await scene.store.keyHolder(key)?.outcome == .open)
        },
        ConformanceCheck("A step settles only the key that it has taken itself") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance([intent], takes: [take()]))
            for end in [BusinessKeySettlement.End.free, .happened(output: [1]), .undoing] {
                try await scene.advance(
                    run.advance(
                        [EventDraft(.stepCancelled, subject: "charge#2")],
                        settles: [.init(key: key, subject: "charge#2", end: end)])
                )
                #expect(try await scene.store.keyHolder(key)?.outcome == .open)
            }
        },
        ConformanceCheck("What is being undone is adopted by nobody: who asks waits, and is told how it ended") { scene in
            var holder = try await scene.owned(), other = try await scene.owned()
            let outcome = BusinessKeySettlement.End.happened(output: [7])
            for (end, expected) in [(outcome, BusinessKeyRecord.Outcome.happened(output: [7])), (.free, .free)] {
                try await scene.advance(holder.advance([intent], takes: [take()]))
                try await scene.advance(
                    holder.advance([success], settles: [.init(key: key, subject: "charge#1", end: outcome)]))
                try await scene.advance(
                    holder.advance([EventDraft(.undoStarted)], settles: [.init(key: key, subject: "charge#1", end: .undoing)]))
                #expect(try await scene.store.keyHolder(key)?.outcome == .open)
                #expect(try await scene.store.awaitKey(key, run: other.number, subject: "charge#1") == nil)
                #expect(
                    try await scene.store.awaitedKeys(of: other.number) == [
                        BusinessKeyWait(subject: "charge#1", record: try #require(try await scene.store.keyHolder(key)))
                    ])
                try await scene.advance(
                    holder.advance([EventDraft(.undoSucceeded)], settles: [.init(key: key, subject: "charge#1", end: end)]))
                #expect(try await scene.store.keyHolder(key)?.outcome == expected)
                #expect(try await scene.store.awaitedKeys(of: other.number).isEmpty)
            }
            let rows = try await scene.store.inbox(run: other.number)
            // Whoever waits again is told again, also in the same generation of the key.
            #expect(rows.map(\.delivery.kind) == [.keySettled, .keySettled])
            try await scene.advance(other.advance([EventDraft(.statusReported)], consuming: rows.map(\.number)))
        },
        ConformanceCheck("A waiter that closed before the settlement is left alone") { scene in
            var holder = try await scene.owned(), waiter = try await scene.owned()
            try await scene.advance(holder.advance([intent], takes: [take()]))
            _ = try await scene.store.awaitKey(key, run: waiter.number, subject: "charge#1")
            try await scene.advance(waiter.advance([EventDraft(.runCancelled)], to: .init(to: .cancelled)))
            try await scene.advance(
                holder.advance([success], settles: [.init(key: key, subject: "charge#1", end: .happened(output: []))]))
            #expect(try await scene.store.inbox(run: waiter.number).isEmpty)
        },
        ConformanceCheck("A run may close in the commit that settles a key it waits for itself") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance([intent], takes: [take()]))
            _ = try await scene.store.awaitKey(key, run: run.number, subject: "charge#2")
            try await scene.advance(
                run.advance(
                    [EventDraft(.runTerminated)], to: .init(to: .terminated),
                    settles: [.init(key: key, subject: "charge#1", end: .free)]))
        },
        ConformanceCheck("A key that was never taken is answered as free") { scene in
            let run = try await scene.owned()
            let record = try await scene.store.awaitKey(key, run: run.number, subject: "charge#1")
            #expect(record?.outcome == .free && record?.generation == 1)
        },
        ConformanceCheck("A key outlives its run") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance([intent], takes: [take()]))
            try await scene.advance(
                run.advance(
                    [success, EventDraft(.runCompleted)], to: .init(to: .completed),
                    settles: [.init(key: key, subject: "charge#1", end: .happened(output: [7]))]))
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            #expect(try await scene.store.keyHolder(key)?.outcome == .happened(output: [7]))
        },
    ]
}
