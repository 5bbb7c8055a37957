internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// What is set for namespaces, and what follows from it for their closed runs.
    static let namespaces: [ConformanceCheck] = [
        ConformanceCheck("What is set for a namespace comes back, and stays when the process ends") { scene in
            let row = scene.row("b", RetentionTerms(closedAfter: .days(90), removedAfter: .seconds(1), archives: true))
            let other = scene.row("a", RetentionTerms())
            #expect(try await scene.store.namespaces() == [])
            #expect(try await scene.change("b", on: nil, to: row))
            #expect(try await scene.client().setNamespace(NamespaceChange("a", on: nil, to: other)))
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            #expect(try await scene.store.namespaces() == [other, row])
            #expect(try await scene.change("b", on: row.version, to: nil))
            #expect(try await scene.store.namespaces() == [other])
        },
        ConformanceCheck("Of several changes of a namespace that stand on one version one is made") { scene in
            let first = scene.row("a", RetentionTerms(closedAfter: .days(1)))
            var second = scene.row("a", RetentionTerms(archives: true))
            let isSet = try await scene.change("a", on: nil, to: first)
            #expect(isSet)
            // Its answer was lost: the same is said again.
            #expect(try await scene.change("a", on: nil, to: first))
            #expect(try await scene.change("a", on: nil, to: second) == false)
            #expect(try await scene.change("a", on: 7, to: nil) == false)
            second.version = first.version + 1
            #expect(try await scene.change("a", on: first.version, to: second))
            let late = { () -> NamespaceRow in
                var row = first
                row.version += 2
                return row
            }()
            #expect(try await scene.change("a", on: first.version, to: late) == false)
            #expect(try await scene.store.namespaces() == [second])
            #expect(NamespaceChange("a/b", on: nil, to: nil).flaw != nil)
            #expect(NamespaceChange("a", on: first.version, to: first).flaw != nil)
        },
        ConformanceCheck("Runs are counted by namespace and state") { scene in
            _ = try await scene.closed(in: "a")
            _ = try await scene.closed(in: "a")
            _ = try await scene.waiting()
            #expect(try await scene.store.namespaceCounts() == ["a": [.completed: 2], "default": [.waiting: 1]])
        },
        ConformanceCheck("What is set for a namespace holds in place of what the caller says, for longer and for shorter") {
            scene in
            try await scene.set("long", RetentionTerms(closedAfter: .seconds(300)))
            try await scene.set("short", RetentionTerms(closedAfter: .seconds(10)))
            try await scene.set("ever", RetentionTerms())
            var runs: [String: SampleRun] = [:]
            for name in ["ever", "long", "other", "short"] { runs[name] = try await scene.closed(in: name) }
            func expired(_ closedBefore: Timestamp?) async throws -> [String] {
                _ = try await scene.expire(closedBefore: closedBefore)
                var names: [String] = []
                for (name, run) in runs where try await scene.record(run).tombstone != nil { names.append(name) }
                return names.sorted()
            }
            scene.clock.advance(by: .seconds(10))
            #expect(try await expired(nil) == [])
            scene.clock.advance(by: .microseconds(1))
            #expect(try await expired(nil) == ["short"])
            #expect(try await expired(scene.clock.now) == ["other", "short"])
            scene.clock.advance(by: .seconds(300))
            #expect(try await expired(scene.clock.now) == ["long", "other", "short"])
        },
        ConformanceCheck("What is set for a namespace holds for its tombstones") { scene in
            try await scene.set("brief", RetentionTerms(closedAfter: .zero, removedAfter: .minutes(30)))
            try await scene.set("ever", RetentionTerms(closedAfter: .zero))
            for name in ["brief", "ever", "other"] { _ = try await scene.closed(in: name) }
            scene.clock.advance(by: .microseconds(1))
            #expect(try await scene.expire(closedBefore: scene.clock.now).expired == 3)
            scene.clock.advance(by: .minutes(30))
            #expect(try await scene.expire(expiredBefore: nil).removed == 0)
            scene.clock.advance(by: .microseconds(1))
            #expect(try await scene.expire(expiredBefore: nil).removed == 1)
            #expect(try await scene.expire(expiredBefore: scene.clock.now).removed == 1)
            #expect(try await scene.store.namespaceCounts() == ["ever": [.completed: 1]])
        },
        ConformanceCheck("A round does not look at the runs of a namespace that keeps them") { scene in
            try await scene.set("kept", RetentionTerms())
            try await scene.set("later", RetentionTerms(closedAfter: .days(1)))
            for name in ["kept", "later"] { for _ in 0..<100 { _ = try await scene.closed(in: name) } }
            let last = try await scene.closed(in: "zebra")
            scene.clock.advance(by: .seconds(60))
            #expect(try await scene.rounds(limit: 10).count == 1)
            #expect(try await scene.record(last).tombstone != nil)
        },
        ConformanceCheck("Many namespaces take many calls, of which each goes on where the one before ended") { scene in
            for number in 0..<40 { _ = try await scene.closed(in: "n\(number)") }
            scene.clock.advance(by: .seconds(60))
            let answers = try await scene.rounds(limit: 10)
            #expect(answers.count > 5 && answers.map(\.expired).reduce(0, +) == 40)
        },
        ConformanceCheck("A run of a namespace that is archived does not expire before that was noted of its last event") {
            scene in
            try await scene.set("a", RetentionTerms(closedAfter: .zero, archives: true))
            let run = try await scene.closed(in: "a")
            scene.clock.advance(by: .seconds(60))
            // Whoever has no archive does not even look.
            let blind = try await scene.expire(closedBefore: scene.clock.now)
            #expect(blind.expired == 0 && blind.unarchived == [] && blind.isDone)
            let seeing = try await scene.expire(archives: true)
            #expect(seeing.expired == 0 && seeing.isDone)
            #expect(seeing.unarchived == [UnarchivedRun(number: run.number, id: run.record.id, seq: run.head.seq)])
            let digest = [UInt8](0..<32)
            let early = ArchivedHistory(run: run.number, lastHash: run.events[0].hash, digest: digest)
            #expect(try await scene.store.noteArchived([early]) == [])
            let note = ArchivedHistory(run: run.number, lastHash: run.head.hash, digest: digest)
            #expect(try await scene.store.noteArchived([note]) == [run.number])
            #expect(try await scene.store.noteArchived([note, early]) == [run.number])
            #expect(try await scene.expire(archives: false).expired == 0)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            #expect(try await scene.expire(archives: true).expired == 1)
            let end = try #require(try await scene.history(run).first)
            #expect(try end.attributes.object()["archive"]?.stringValue == Hex.encode(digest))
            #expect(try end.attributes.object()["last_hash"]?.stringValue == run.head.hash.description)
            #expect(try await scene.store.noteArchived([note]) == [])
        },
        ConformanceCheck("A history that goes on after it was archived is archived once more") { scene in
            try await scene.set("default", RetentionTerms(closedAfter: .zero, archives: true))
            var run = try await scene.resting(.init(to: .terminated))
            scene.clock.advance(by: .seconds(60))
            let digest = [UInt8](repeating: 7, count: 32)
            func note() async throws -> Set<Int64> {
                try await scene.store.noteArchived([
                    ArchivedHistory(run: run.number, lastHash: run.head.hash, digest: digest)
                ])
            }
            #expect(try await note() == [run.number])
            try await scene.deliver(.resolve, to: run, id: "r")
            #expect(try await scene.expire(archives: true).unarchived == [])
            run.take(over: try #require(try await scene.claim(hosted: []).first))
            let rows = try await scene.store.inbox(run: run.number).map(\.number)
            try await scene.advance(
                run.advance([EventDraft(.operatorAction)], to: .init(to: .terminated), consuming: rows))
            let answer = try await scene.expire(archives: true)
            #expect(answer.expired == 0 && answer.unarchived.map(\.seq) == [run.head.seq])
            #expect(try await note() == [run.number])
            #expect(try await scene.expire(archives: true).expired == 1)
        },
        ConformanceCheck("Nothing is noted of a run that is open, and nothing given out that may not expire") { scene in
            try await scene.set("default", RetentionTerms(closedAfter: .zero, archives: true))
            let open = try await scene.waiting()
            var doubtful = try await scene.owned()
            try await scene.advance(
                doubtful.advance(
                    [EventDraft(.stepInDoubt, subject: "a"), EventDraft(.runTerminated)], to: .init(to: .terminated)))
            scene.clock.advance(by: .seconds(60))
            let note = ArchivedHistory(run: open.number, lastHash: open.head.hash, digest: [UInt8](repeating: 1, count: 32))
            #expect(try await scene.store.noteArchived([note]) == [])
            #expect(try await scene.expire(archives: true).unarchived == [])
        },
        ConformanceCheck("Runs that wait for an archive are given out a few at a time, and keep no other from expiring") {
            scene in
            try await scene.set("default", RetentionTerms(closedAfter: .zero, archives: true))
            for _ in 0..<150 { _ = try await scene.resting(.init(to: .completed)) }
            let other = try await scene.closed(in: "other")
            scene.clock.advance(by: .seconds(60))
            let answers = try await scene.rounds(limit: 1_000, archives: true)
            #expect(answers.allSatisfy { $0.unarchived.count <= 64 })
            #expect(Set(answers.flatMap(\.unarchived).map(\.number)).count == 150)
            #expect(answers.flatMap(\.unarchived).count == 150)
            #expect(try await scene.record(other).tombstone != nil)
        },
    ]
}

extension Scene {
    fileprivate func row(_ name: String, _ terms: RetentionTerms) -> NamespaceRow {
        NamespaceRow(name: name, version: 10, terms: terms, changedBy: Sample.person, changedAt: clock.now)
    }

    fileprivate func change(_ name: String, on version: Int64?, to row: NamespaceRow?) async throws -> Bool {
        try await store.setNamespace(NamespaceChange(name, on: version, to: row))
    }

    fileprivate func set(_ name: String, _ terms: RetentionTerms) async throws {
        guard try await store.setNamespace(NamespaceChange(name, on: nil, to: row(name, terms))) else {
            throw Unexpected("setting a namespace", name)
        }
    }

    /// A completed run of the namespace.
    fileprivate func closed(in namespace: String) async throws -> SampleRun {
        var run = try await create(SampleRun(namespace: namespace, owner: node, at: clock.now))
        try await advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
        return run
    }

    fileprivate func expire(closedBefore: Timestamp?) async throws -> Expiry {
        try await store.expire(ExpiryRequest(closedBefore: closedBefore, limit: 1_000))
    }

    fileprivate func expire(expiredBefore: Timestamp?) async throws -> Expiry {
        try await store.expire(ExpiryRequest(closedBefore: nil, expiredBefore: expiredBefore, limit: 1_000))
    }

    fileprivate func expire(archives: Bool) async throws -> Expiry {
        try await store.expire(ExpiryRequest(closedBefore: clock.now, archives: archives, limit: 1_000))
    }

    /// A whole round, call by call.
    fileprivate func rounds(limit: Int, archives: Bool = false) async throws -> [Expiry] {
        var request = ExpiryRequest(closedBefore: clock.now, archives: archives, limit: limit)
        var answers: [Expiry] = []
        while answers.last?.isDone != true {
            answers.append(try await store.expire(request))
            request.position = answers.last?.position
        }
        return answers
    }
}
