internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let schedules: [ConformanceCheck] = [
        ConformanceCheck("A schedule reads back as it was given, also after the process has died") { scene in
            let row = row("nightly", 1, due: 5)
            try await scene.change(ScheduleChange(row.key, on: nil, to: row))
            #expect(try await scene.schedule("nightly") == row)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            #expect(try await scene.schedule("nightly") == row)
            #expect(try await scene.schedule("other") == nil)
            let client = try await scene.client()
            #expect(try await client.schedules(.one(row.key)) == [row])
        },
        ConformanceCheck("A schedule and the runs that begin with its change are there together") { scene in
            let row = row("nightly", 1, due: 5), runs = [SampleRun(key: "a"), SampleRun(key: "b")]
            try await scene.change(ScheduleChange(row.key, on: nil, to: row, starts: runs.map(\.new)))
            for run in runs {
                let made = try #require(try await scene.store.run(run.record.id))
                #expect(try await scene.store.events(of: made.number, after: 0, limit: 10) == run.events)
            }
            #expect(try await scene.claim().map(\.record.id) == runs.map(\.record.id))
        },
        ConformanceCheck("A change on another version than the one that stands there does nothing") { scene in
            let first = row("nightly", 1, due: 5), second = row("nightly", 2, due: 6), late = row("nightly", 3, due: 7)
            try await scene.change(ScheduleChange(first.key, on: nil, to: first))
            try await scene.change(ScheduleChange(first.key, on: 1, to: second))
            let run = SampleRun(key: "k")
            for expected in [nil, 1, 3] as [Int64?] {
                let change = ScheduleChange(
                    first.key, on: expected,
                    to: ScheduleRow(key: first.key, version: 4, dueAt: late.dueAt, document: late.document),
                    starts: [run.new])
                #expect(try await scene.refusal(of: .schedule(change)) == .conflict)
            }
            #expect(try await scene.refusal(of: .schedule(ScheduleChange(first.key, on: 1, to: nil))) == .conflict)
            #expect(try await scene.schedule("nightly") == second)
            #expect(try await scene.store.run(run.record.id) == nil)
        },
        ConformanceCheck("Of two processes that fire one schedule at once one does, and the run begins once") { scene in
            let client = try await scene.client()
            let first = row("nightly", 1, due: 5)
            try await scene.change(ScheduleChange(first.key, on: nil, to: first))
            for version in Int64(1)...20 {
                // With keys of their own: nothing but the version tells.
                let runs = [SampleRun(key: "a \(version)"), SampleRun(key: "b \(version)")]
                let answers = try await withThrowingTaskGroup(of: CommitResult?.self) { group in
                    for (store, run) in zip([scene.store, client], runs) {
                        let next = row("nightly", version + 1, due: 5 + version, by: "\(run.record.id)")
                        group.addTask {
                            try await store.commit([.schedule(ScheduleChange(next.key, on: version, to: next, starts: [run.new]))]
                            ).first
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let won = answers.count { if case .scheduled? = $0 { true } else { false } }
                let made = try await runs.asyncCount { try await scene.store.run($0.record.id) != nil }
                #expect(won == 1 && made == 1, "version \(version): \(answers)")
            }
        },
        ConformanceCheck("A change whose answer was lost is made once") { scene in
            let sound = scene.store
            let faulty = FaultyStore(sound, .nth(1, .loseAnswer))
            let row = row("nightly", 1, due: 5), run = SampleRun(key: "k")
            let change = CommitItem.schedule(ScheduleChange(row.key, on: nil, to: row, starts: [run.new]))
            await #expect(throws: StoreError.self) { try await faulty.commit([change]) }
            for _ in 0..<2 {
                guard case .scheduled = try await faulty.commit([change]).first else {
                    throw Unexpected("the repeat", "no answer")
                }
            }
            #expect(try await sound.runs(RunFilter()).map(\.id) == [run.record.id])
            // When it has moved on, the repeat is somebody who comes late.
            let next = Self.row("nightly", 2, due: 6)
            try await scene.change(ScheduleChange(row.key, on: 1, to: next))
            #expect(try await scene.refusal(of: change) == .conflict)
        },
        ConformanceCheck("A key that is taken keeps the whole change from being made") { scene in
            let holder = try await scene.create(SampleRun(key: "k"))
            let row = row("nightly", 1, due: 5), runs = [SampleRun(key: "free"), SampleRun(key: "k")]
            let result = try await scene.commit(.schedule(ScheduleChange(row.key, on: nil, to: row, starts: runs.map(\.new))))
            guard case .keyTaken(let found) = result else { throw Unexpected("a taken key", result) }
            #expect(found == holder.record)
            #expect(try await scene.schedule("nightly") == nil)
            #expect(try await scene.store.runs(RunFilter()).map(\.id) == [holder.record.id])
        },
        ConformanceCheck("Messages go with the change of a schedule, and one to a run that is closed is none") { scene in
            let open = try await scene.waiting(), closed = try await scene.resting(.init(to: .completed))
            let row = row("nightly", 1, due: 5)
            let messages = [open, closed].map {
                Delivery(to: $0.record.id, id: "nightly", kind: .cancel, sender: Sample.person)
            }
            try await scene.change(ScheduleChange(row.key, on: nil, to: row, deliveries: messages))
            #expect(try await scene.store.inbox(run: open.number).map(\.delivery) == [messages[0]])
            #expect(try await scene.store.inbox(run: closed.number).isEmpty)
            #expect(try await scene.schedule("nightly") == row)
        },
        ConformanceCheck("Schedules that are due are found in their order, page by page, and no others") { scene in
            let dues: [Int64?] = [50, 10, nil, 30, 20, 30, 99]
            var rows: [ScheduleRow] = []
            for (index, due) in dues.enumerated() {
                let row = row("s\(index)", 1, due: due, namespace: index == 3 ? "other" : "default")
                try await scene.change(ScheduleChange(row.key, on: nil, to: row))
                rows.append(row)
            }
            var found: [ScheduleRow] = [], place: SchedulePlace?
            while true {
                let page = try await scene.store.schedules(.due(after: place, by: time(50), limit: 2))
                if page.isEmpty { break }
                found += page
                place = page.last.flatMap { row in row.dueAt.map { SchedulePlace(at: $0, key: row.key) } }
            }
            #expect(found == [1, 4, 5, 3, 0].map { rows[$0] })
            #expect(try await scene.store.schedules(.due(after: .behind(time(30)), by: .distantFuture, limit: 1)) == [rows[0]])
            #expect(try await scene.store.schedules(.due(after: .behind(time(99)), by: .distantFuture, limit: 1)).isEmpty)
            // What was due is so no longer.
            let later = row("s1", 2, due: 60)
            try await scene.change(ScheduleChange(later.key, on: 1, to: later))
            #expect(try await scene.store.schedules(.due(after: nil, by: time(10), limit: 9)).isEmpty)
        },
        ConformanceCheck("Schedules are listed by name, page by page, of one namespace or of all") { scene in
            let names = [("b", "default"), ("a", "default"), ("c", "other"), ("a", "another")]
            for (id, namespace) in names {
                let row = row(id, 1, due: nil, namespace: namespace)
                try await scene.change(ScheduleChange(row.key, on: nil, to: row))
            }
            let all = try await scene.store.schedules(.listed(namespace: nil, after: nil, limit: 9))
            #expect(all.map { "\($0.key.namespace) \($0.key.id)" } == ["another a", "default a", "default b", "other c"])
            #expect(try await scene.store.schedules(.listed(namespace: "default", after: nil, limit: 1)) == [all[1]])
            #expect(try await scene.store.schedules(.listed(namespace: "default", after: all[1].key, limit: 9)) == [all[2]])
        },
        ConformanceCheck("A schedule that was removed is gone, and what stood on it changes nothing that has its name") { scene in
            let first = row("nightly", 7, due: 5), again = row("nightly", 9, due: 8)
            try await scene.change(ScheduleChange(first.key, on: nil, to: first))
            try await scene.change(ScheduleChange(first.key, on: 7, to: nil))
            try await scene.change(ScheduleChange(first.key, on: 7, to: nil))
            #expect(try await scene.schedule("nightly") == nil)
            #expect(try await scene.store.schedules(.due(after: nil, by: time(99), limit: 9)).isEmpty)
            try await scene.change(ScheduleChange(first.key, on: nil, to: again))
            #expect(try await scene.refusal(of: .schedule(ScheduleChange(first.key, on: 7, to: nil))) == .conflict)
            #expect(try await scene.schedule("nightly") == again)
        },
        ConformanceCheck("What cannot be a schedule is refused alone") { scene in
            let good = row("nightly", 1, due: 5)
            let bad = [
                ScheduleChange(ScheduleKey(namespace: "default", id: "not a name"), on: nil, to: nil),
                ScheduleChange(
                    good.key, on: nil, to: ScheduleRow(key: good.key, version: 1, dueAt: time(6), document: good.document)),
                ScheduleChange(good.key, on: nil, to: ScheduleRow(key: good.key, version: 1, dueAt: nil, document: "[")),
                ScheduleChange(good.key, on: 2, to: good),
                ScheduleChange(good.key, on: nil, to: row("other", 1, due: 5)),
                ScheduleChange(good.key, on: nil, to: good, starts: [SampleRun().new]),
                ScheduleChange(good.key, on: nil, to: good, starts: [SampleRun(key: "k", owner: scene.node).new]),
                ScheduleChange(good.key, on: nil, to: good, starts: [SampleRun(namespace: "other", key: "k").new]),
                ScheduleChange(good.key, on: nil, to: good, starts: [SampleRun(key: "k").new, SampleRun(key: "k").new]),
            ]
            let other = SampleRun()
            let results = try await scene.store.commit(bad.map { .schedule($0) } + [other.creation])
            for result in results.dropLast() {
                guard case .refused(.invalid) = result else { throw Unexpected("a flawed change", result) }
            }
            #expect(try await scene.store.runs(RunFilter()).map(\.id) == [other.record.id])
            #expect(try await scene.schedule("nightly") == nil)
        },
        ConformanceCheck("The bell rings after another process has made a schedule") { scene in
            let (rings, ring) = AsyncStream.makeStream(of: Void.self)
            scene.store.onOutsideDelivery { ring.yield() }
            // A commit of its own, after which the bell has certainly looked once: it compares with what it saw before.
            _ = try await scene.owned()
            let client = try await scene.client()
            let row = row("nightly", 1, due: 5)
            _ = try await client.commit([.schedule(ScheduleChange(row.key, on: nil, to: row))])
            for await _ in rings {
                if try await scene.schedule("nightly") == row { break }
            }
        },
    ]

    private static func time(_ seconds: Int64) -> Timestamp { Sample.start + .seconds(seconds) }

    static func row(
        _ id: String, _ version: Int64, due: Int64?, namespace: String = "default", by who: String = ""
    ) -> ScheduleRow {
        let due = due.map(time)
        var document: JSONObject = ["by": .string(who), "text": "é"]
        document["due"] = due.map { .integer($0.microseconds) }
        return ScheduleRow(
            key: ScheduleKey(namespace: namespace, id: id), version: version, dueAt: due,
            document: JSONValue.object(document).canonicalText)
    }
}

extension Scene {
    fileprivate func change(_ change: ScheduleChange) async throws {
        let result = try await commit(.schedule(change))
        guard case .scheduled = result else { throw Unexpected("changing a schedule", result) }
    }

    fileprivate func schedule(_ id: String) async throws -> ScheduleRow? {
        try await store.schedules(.one(ScheduleKey(namespace: "default", id: id))).first
    }
}

extension [SampleRun] {
    fileprivate func asyncCount(where holds: (SampleRun) async throws -> Bool) async throws -> Int {
        var count = 0
        for run in self where try await holds(run) { count += 1 }
        return count
    }
}
