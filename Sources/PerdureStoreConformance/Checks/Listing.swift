internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// What waits for people.
    static let attention: [ConformanceCheck] = [
        ConformanceCheck("Approvals and questions are open until they are decided, oldest first") { scene in
            var first = try await scene.owned(), second = try await scene.owned()
            try await scene.advance(first.advance([EventDraft(.approvalRequested, subject: "switch#1")]))
            try await scene.advance(
                second.advance([EventDraft(.questionAsked, subject: "which"), EventDraft(.questionAsked, subject: "when")]))
            var open = try await scene.store.openRequests(RequestQuery(limit: 10))
            #expect(open.map(\.event.subject) == ["switch#1", "which", "when"])
            #expect(open.first?.run == first.record && open.first?.event == first.events[1])
            #expect(try await scene.store.openRequests(RequestQuery(namespace: "default", limit: 2)).count == 2)
            #expect(try await scene.store.openRequests(RequestQuery(namespace: "other", limit: 10)).isEmpty)
            try await scene.advance(
                first.advance([
                    EventDraft(.approvalEscalated, subject: "switch#1"), EventDraft(.approvalDecided, subject: "switch#1"),
                ]))
            try await scene.advance(second.advance([EventDraft(.questionExpired, subject: "which")]))
            open = try await scene.store.openRequests(RequestQuery(limit: 10))
            #expect(open.map(\.event.subject) == ["when"])
        },
        ConformanceCheck("Open requests of one kind come in pages") { scene in
            var run = try await scene.owned()
            let subjects = (1...5).map { "q\($0)" }
            try await scene.advance(
                run.advance(
                    subjects.flatMap { [EventDraft(.questionAsked, subject: $0), EventDraft(.approvalRequested, subject: $0)] }))
            var found: [OpenRequest] = []
            while true {
                let query = RequestQuery(kind: .questionAsked, after: found.last?.number ?? 0, limit: 2)
                let page = try await scene.store.openRequests(query)
                found += page
                if page.count < 2 { break }
            }
            #expect(found.map(\.event.subject) == subjects)
            #expect(found.allSatisfy { $0.event.kind == .questionAsked })
            #expect(try await scene.store.openRequests(RequestQuery(after: .max, limit: 2)).isEmpty)
        },
        ConformanceCheck("An approval and a question of one subject do not answer each other") { scene in
            var run = try await scene.owned()
            try await scene.advance(
                run.advance([EventDraft(.approvalRequested, subject: "a"), EventDraft(.questionAsked, subject: "a")]))
            try await scene.advance(run.advance([EventDraft(.questionAnswered, subject: "a")]))
            #expect(try await scene.store.openRequests(RequestQuery(limit: 10)).map(\.event.kind) == [.approvalRequested])
        },
        ConformanceCheck("A request that is made again after its end is open again, once") { scene in
            var run = try await scene.owned()
            let ask = EventDraft(.approvalRequested, subject: "a")
            try await scene.advance(run.advance([ask, EventDraft(.approvalVoided, subject: "a"), ask]))
            #expect(try await scene.store.openRequests(RequestQuery(limit: 10)).map(\.event.seq) == [4])
        },
        ConformanceCheck("A closed run asks nobody any more") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance([EventDraft(.questionAsked, subject: "a")]))
            try await scene.advance(run.advance([EventDraft(.runTerminated)], to: .init(to: .terminated)))
            #expect(try await scene.store.openRequests(RequestQuery(limit: 10)).isEmpty)
        },
    ]

    static let listing: [ConformanceCheck] = [
        ConformanceCheck("Runs are listed newest first, in pages") { scene in
            var numbers: [Int64] = []
            for _ in 0..<7 { numbers.append(try await scene.create(SampleRun()).number) }
            var read: [Int64] = []
            var filter = RunFilter(limit: 3)
            while true {
                let page = try await scene.store.runs(filter)
                #expect(page.count <= 3)
                guard let last = page.last else { break }
                read += page.map(\.number)
                filter.before = last.number
            }
            #expect(read == numbers.reversed())
        },
        ConformanceCheck("Filters by namespace, workflow and states hold together, and page alike") { scene in
            let a = try await scene.create(SampleRun(namespace: "x"))
            let b = try await scene.waiting(workflow: "farewell")
            let c = try await scene.resting(.init(to: .parked))
            let d = try await scene.create(SampleRun(workflow: "farewell", namespace: "x"))
            let e = try await scene.resting(.init(to: .failed))
            func listed(_ filter: RunFilter) async throws -> [Int64] { try await scene.store.runs(filter).map(\.number) }
            #expect(try await listed(RunFilter(namespace: "x")) == [d.number, a.number])
            #expect(try await listed(RunFilter(workflow: "farewell")) == [d.number, b.number])
            #expect(try await listed(RunFilter(namespace: "x", workflow: "farewell", states: [.ready])) == [d.number])
            #expect(try await listed(RunFilter(workflow: "farewell", version: "1")) == [d.number, b.number])
            #expect(try await listed(RunFilter(version: "none")).isEmpty)
            #expect(try await listed(RunFilter(version: "none", states: [.ready])).isEmpty)
            #expect(try await listed(RunFilter(states: [.ready, .parked, .failed])) == [e, d, c, a].map(\.number))
            #expect(try await listed(RunFilter(states: [.ready, .parked, .failed], limit: 2)) == [e.number, d.number])
            #expect(try await listed(RunFilter(states: [.ready, .parked, .failed], before: d.number)) == [c.number, a.number])
            #expect(try await listed(RunFilter(states: [.ready, .ready], before: d.number)) == [a.number])
            #expect(try await listed(RunFilter(namespace: "nowhere")).isEmpty)
            #expect(try await listed(RunFilter(limit: 0)).isEmpty)
            #expect(try await listed(RunFilter(limit: -1)).isEmpty)
        },
        ConformanceCheck("Runs are found by their labels, the latest of each name") { scene in
            let a = try await scene.create(SampleRun(labels: ["customer": "7", "tier": "gold"]))
            let b = try await scene.create(SampleRun(labels: ["customer": "7"]))
            var c = try await scene.create(SampleRun(owner: scene.node, labels: ["customer": "8"]))
            func listed(_ labels: [String: String], limit: Int = 10) async throws -> [Int64] {
                try await scene.store.runs(RunFilter(states: [.ready], labels: labels, limit: limit)).map(\.number)
            }
            #expect(try await listed(["customer": "7"]) == [b.number, a.number])
            #expect(try await listed(["customer": "7"], limit: 1) == [b.number])
            #expect(try await listed(["customer": "7", "tier": "gold"]) == [a.number])
            #expect(try await listed(["customer": "9"]).isEmpty)
            #expect(try await scene.store.runs(RunFilter(states: [.failed], labels: ["customer": "7"])).isEmpty)
            #expect(try await scene.store.runs(RunFilter(version: "none", labels: ["customer": "7"])).isEmpty)
            let change = EventDraft(.labelsChanged, subject: "labels", attributes: ["labels": .object(["customer": "7"])])
            try await scene.advance(c.advance([change]))
            #expect(try await listed(["customer": "8"]).isEmpty)
            let labels = try await scene.store.labels(of: [a.number, c.number])
            #expect(labels == [a.number: ["customer": "7", "tier": "gold"], c.number: ["customer": "7"]])
        },
        ConformanceCheck("The latest status and the patches of a run are found without its history") { scene in
            var run = try await scene.owned()
            try await scene.advance(
                run.advance([
                    EventDraft(.statusReported, subject: "status", input: .inline(Array("1".utf8))),
                    EventDraft(.versionPatched, subject: "b"),
                    EventDraft(.statusReported, subject: "status#2", input: .inline(Array("2".utf8))),
                    EventDraft(.versionPatched, subject: "a"),
                ]))
            let store = scene.store
            #expect(try await store.marked(.statusReported, nil, in: run.number).map(\.input) == [.inline(Array("2".utf8))])
            #expect(try await store.marked(.versionPatched, nil, in: run.number).map(\.subject) == ["b", "a"])
            #expect(try await store.marked(.versionPatched, "a", in: run.number).map(\.subject) == ["a"])
            #expect(try await store.marked(.versionPatched, "c", in: run.number).isEmpty)
            #expect(try await store.marked(.versionPatched, nil, in: run.number + 1).isEmpty)
        },
        ConformanceCheck("How far histories go is told of many runs in one answer") { scene in
            let store = scene.store, beginning = try await scene.create(SampleRun())
            var run = try await scene.owned()
            let before = try await store.lastSeqs(of: [run.number, beginning.number, beginning.number, .max])
            #expect(before == [run.number: run.head.seq, beginning.number: 1])
            try await scene.advance(
                run.advance([EventDraft(.versionPatched, subject: "b"), EventDraft(.versionPatched, subject: "c")]))
            #expect(try await store.lastSeqs(of: [run.number]) == [run.number: (before[run.number] ?? 0) + 2])
            #expect(try await store.lastSeqs(of: []).isEmpty)
        },
        ConformanceCheck("Whoever waits for runs is told in one answer which are over, and which have replied") { scene in
            let store = scene.store, missing = Sample.runID()
            var over: [RunWait] = []
            for state in [RunState.completed, .failed, .cancelled, .terminated] {
                over.append(RunWait(run: try await scene.resting(.init(to: state)).record.id))
            }
            over.append(RunWait(run: over[0].run, update: "update:a:1"))
            let broken = try await scene.waiting()
            try await store.quarantine(broken.number, reason: "broken")
            over += [RunWait(run: broken.record.id), RunWait(run: missing), RunWait(run: missing, update: "update:a:1")]
            var open: [RunWait] = []
            for state in [RunState.waiting, .ready, .parked, .blocked, .paused] {
                let rest = RunTransition(to: state, blockedBuild: state == .blocked ? "b1" : nil)
                open.append(RunWait(run: try await scene.resting(rest).record.id, update: "update:a:1"))
            }
            var run = try await scene.owned()
            let replies = [
                EventDraft(.updateCompleted, subject: "update:a:1"), EventDraft(.updateRejected, subject: "update:a:2"),
            ]
            try await scene.advance(run.advance(replies))
            for update in [nil, "update:a:3", "update:b:1"] { open.append(RunWait(run: run.record.id, update: update)) }
            over += replies.map { RunWait(run: run.record.id, update: $0.subject) }
            var mixed: [RunWait] = []
            for index in 0..<max(over.count, open.count) {
                mixed += open.dropFirst(index).prefix(1) + over.dropFirst(index).prefix(1)
            }
            #expect(try await store.ended(among: mixed) == over)
            #expect(try await scene.client().ended(among: open + over + over) == over + over)
            #expect(try await store.ended(among: []).isEmpty)
        },
        ConformanceCheck("Counts are those of each state, of one namespace or of all") { scene in
            _ = try await scene.create(SampleRun())
            _ = try await scene.create(SampleRun(namespace: "x"))
            _ = try await scene.waiting()
            _ = try await scene.resting(.init(to: .completed))
            #expect(try await scene.store.counts(namespace: nil) == [.ready: 2, .waiting: 1, .completed: 1])
            #expect(try await scene.store.counts(namespace: "x") == [.ready: 1])
            #expect(try await scene.store.counts(namespace: "nowhere").isEmpty)
        },
        ConformanceCheck("Runs are counted by workflow, version and state, closed ones too") { scene in
            _ = try await scene.waiting()
            _ = try await scene.create(SampleRun(namespace: "x"))
            _ = try await scene.resting(.init(to: .completed))
            _ = try await scene.resting(.init(to: .completed), workflow: "farewell")
            let farewell = VersionCounts(workflow: "farewell", version: "1", runs: [.completed: 1])
            let greeting = VersionCounts(workflow: "greeting", version: "1", runs: [.waiting: 1, .ready: 1, .completed: 1])
            #expect(try await scene.store.versions(namespace: nil) == [farewell, greeting])
            let others = [VersionCounts(workflow: "greeting", version: "1", runs: [.ready: 1])]
            #expect(try await scene.store.versions(namespace: "x") == others)
        },
        ConformanceCheck("What does not exist is nil, not an error") { scene in
            #expect(try await scene.store.run(Sample.runID()) == nil)
            #expect(try await scene.store.run(namespace: "default", workflow: "greeting", key: "k") == nil)
            #expect(try await scene.store.inbox(run: 1).isEmpty)
            try await scene.store.quarantine(1, reason: "nothing there")
        },
    ]
}
