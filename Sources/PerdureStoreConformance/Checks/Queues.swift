internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Synchronization
internal import Testing

extension StoreConformance {
    /// How many runs of a queue are admitted, when, and in which order.
    static let queues: [ConformanceCheck] = [
        ConformanceCheck("A run of a queue is claimed only once it is admitted") { scene in
            try await scene.limit(1)
            let run = try await scene.queued()
            #expect(run.record.state == .queued && !run.record.isAdmitted && run.record.queue != nil)
            #expect(try await scene.record(run) == run.record)
            #expect(try await scene.claim().isEmpty)
            #expect(try await scene.claim(only: [run.number], ahead: .seconds(3_600)).isEmpty)
            #expect(try await scene.admit() == 1)
            #expect(try await scene.record(run).isAdmitted)
            let claimed = try #require(try await scene.claim().first)
            #expect(claimed.record.number == run.number && claimed.record.isAdmitted && claimed.previous == .ready)
        },
        ConformanceCheck("Runs without a queue, and stores without one, know nothing of places") { scene in
            let run = try await scene.waiting()
            #expect(run.record.queue == nil && run.record.isAdmitted)
            #expect(try await scene.store.admit() == Admission())
            #expect(try await scene.store.queues(namespace: nil).isEmpty)
            #expect(try await scene.store.queuePosition(of: run.number) == nil)
        },
        ConformanceCheck("No more runs are admitted than the queue allows, and whatever ends one lets another one in") { scene in
            try await scene.limit(2)
            var runs: [SampleRun] = []
            for _ in 0..<5 { runs.append(try await scene.queued()) }
            #expect(try await scene.admit() == 2)
            #expect(try await scene.admit() == 0)
            try await scene.complete(runs[0])
            #expect(try await scene.admit() == 1)
            #expect(try await scene.admitted(runs) == [0, 1, 2])
            for (place, state) in [(1, RunState.failed), (2, .terminated)] {
                var run = runs[place]
                run.take(over: try #require(try await scene.claim(only: [run.number]).first))
                try await scene.advance(run.advance(Scene.closing(state), to: .init(to: state)))
            }
            #expect(try await scene.admit() == 2)
            #expect(try await scene.admitted(runs) == [0, 1, 2, 3, 4])
        },
        ConformanceCheck("An admitted run keeps its place in whatever state it is") { scene in
            try await scene.limit(1)
            var run = try await scene.queued(), next = try await scene.queued()
            try await scene.admit()
            for transition in [
                RunTransition(to: .waiting), .init(to: .parked), .init(to: .paused), .init(to: .blocked, blockedBuild: "b1"),
                .init(to: .ready),
            ] {
                try await scene.deliver(.resolve, to: run, id: "\(transition.state)", name: "")
                run.take(over: try #require(try await scene.claim(build: "b2").first))
                let rows = try await scene.store.inbox(run: run.number).map(\.number)
                try await scene.advance(run.advance([EventDraft(.statusReported)], to: transition, consuming: rows))
                #expect(try await scene.admit() == 0)
                #expect(try await scene.standing().holders == [transition.state: 1])
            }
            next.record = try await scene.record(next)
            #expect(!next.record.isAdmitted)
        },
        ConformanceCheck("Of one key no more are admitted than its limit, and other keys go on") { scene in
            try await scene.limit(10, perKey: 2)
            var runs: [SampleRun] = []
            for key in ["a", "a", "a", "a", "b", "b", "b", ""] { runs.append(try await scene.queued(key)) }
            #expect(try await scene.admit() == 5)
            #expect(try await scene.admitted(runs) == [0, 1, 4, 5, 7])
            try await scene.complete(runs[0])
            #expect(try await scene.admit() == 1)
            #expect(try await scene.admitted(runs) == [0, 1, 2, 4, 5, 7])
            try await scene.limit(10, perKey: 1)
            try await scene.complete(runs[1])
            #expect(try await scene.admit() == 0)
            try await scene.limit(10)
            #expect(try await scene.admit() == 2)
        },
        ConformanceCheck("A closed queue admits nobody, and lower limits end nobody") { scene in
            try await scene.limit(0)
            var runs: [SampleRun] = []
            for _ in 0..<4 { runs.append(try await scene.queued()) }
            #expect(try await scene.admit() == 0)
            try await scene.limit(3)
            #expect(try await scene.admit() == 3)
            try await scene.limit(1)
            for run in runs[0..<2] { try await scene.complete(run) }
            #expect(try await scene.admit() == 0)
            try await scene.complete(runs[2])
            #expect(try await scene.admit() == 1)
            #expect(try await scene.standing().held == 1)
        },
        ConformanceCheck("In no time of a rate's length are more admitted than it allows, and none is lost") { scene in
            let rate = Rate(10, per: .seconds(1), burst: 3)
            try await scene.limit(1_000, rate: rate)
            for _ in 0..<40 { _ = try await scene.queued() }
            var times: [Timestamp] = []
            while times.count < 40 {
                let admission = try await scene.store.admit()
                times += (0..<admission.admitted).map { _ in scene.clock.now }
                if times.count == 40 { break }
                let next = try #require(admission.next, "nothing leads to the next admission")
                if next > scene.clock.now { scene.clock.advance(by: next.duration(since: scene.clock.now)) }
            }
            for (place, time) in times.enumerated() {
                #expect(times[place...].filter { $0 < time + rate.period }.count <= rate.count + rate.burst - 1)
            }
            // Nor is it slower than it says.
            #expect(times[39] <= times[0] + .seconds(4))
        },
        ConformanceCheck("A rate goes on after a restart, and a clock that is set back does not stop it") { scene in
            try await scene.limit(1_000, rate: .init(1, per: .seconds(10)))
            for _ in 0..<3 { _ = try await scene.queued() }
            #expect(try await scene.admit() == 1)
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            let waited = scene.clock.now.duration(since: Sample.start)
            #expect(try await scene.admit() == (waited >= .seconds(10) ? 1 : 0))
            scene.clock.advance(by: .seconds(-86_400))
            #expect(try await scene.admit() == 0)
            scene.clock.advance(by: .seconds(10))
            #expect(try await scene.admit() == 1)
        },
        ConformanceCheck("Keys take turns, however many runs one has, and whatever their priorities") { scene in
            try await scene.limit(1)
            var runs: [SampleRun] = []
            for _ in 0..<20 { runs.append(try await scene.queued("many", priority: 9)) }
            for _ in 0..<3 { runs.append(try await scene.queued("few", priority: 0)) }
            #expect(try await scene.order(of: runs, count: 7) == [0, 20, 1, 21, 2, 22, 3])
        },
        ConformanceCheck("Keys that come later do not overtake those that wait") { scene in
            try await scene.limit(1)
            var runs = [try await scene.queued("z"), try await scene.queued("z"), try await scene.queued("z")]
            #expect(try await scene.order(of: runs, count: 1) == [0])
            // Each begins with a key of its own that nobody has seen, as urgent as can be.
            for key in ["c", "a", "b"] { runs.append(try await scene.queued(key, priority: 9)) }
            try await scene.admit()
            #expect(try await scene.admitted(runs) == [0, 1])
            runs.append(try await scene.queued("d", priority: 9))
            try await scene.complete(runs[1])
            #expect(try await scene.order(of: Array(runs[2...])) == [1, 2, 3, 0, 4])
        },
        ConformanceCheck("Of one key the highest priority goes first, then the oldest") { scene in
            try await scene.limit(1)
            var runs: [SampleRun] = []
            for priority in [5, 0, 9, 5, 9] { runs.append(try await scene.queued("k", priority: priority)) }
            #expect(try await scene.order(of: runs) == [2, 4, 0, 3, 1])
        },
        ConformanceCheck("More can be admitted than one transaction takes, of few keys and of many") { scene in
            try await scene.limit(2_000)
            let count = QueueTurns.atOnce + 90
            let items = (0..<count).map { number in
                SampleRun(place: QueuePlace("mail", key: number % 3 == 0 ? "one" : "\(number)")).creation
            }
            _ = try await scene.store.commit(items)
            #expect(try await scene.standing().waiting == count)
            #expect(try await scene.admit() == count)
            #expect(try await scene.standing().held == count)
            #expect(try await scene.standing().waitingKeys == 0)
        },
        ConformanceCheck("A queue says who waits, who holds places, and who has changed its limits") { scene in
            try await scene.limit(2, perKey: 2, rate: .init(5, per: .seconds(1), burst: 2))
            let changedAt = scene.clock.now
            scene.clock.advance(by: .seconds(5))
            // The same again is no change.
            try await scene.limit(2, perKey: 2, rate: .init(5, per: .seconds(1), burst: 2))
            try await scene.store.setQueue(
                QueueKey(namespace: "other", name: "mail"), QueueLimits(concurrency: 1), by: Sample.person)
            let runs = [
                try await scene.queued("a"), try await scene.queued("a"), try await scene.queued("b", priority: 3),
                try await scene.queued("b", priority: 7),
            ]
            try await scene.admit()
            _ = try await scene.claim(1)
            let client = try await scene.client()
            let standings = try await client.queues(namespace: nil)
            #expect(standings.map(\.queue.namespace) == ["default", "other"])
            let standing = try await scene.standing()
            #expect(standings.first == standing && standing.changedAt == changedAt && standing.changedBy == Sample.person)
            #expect(standing.limits == QueueLimits(concurrency: 2, perKey: 2, rate: .init(5, per: .seconds(1), burst: 2)))
            #expect(standing.waiting == 2 && standing.waitingKeys == 2 && standing.holders == [.ready: 1, .running: 1])
            let positions = try await runs.positions(in: scene.store)
            #expect(positions.map(\.?.isAdmitted) == [true, false, false, true])
            #expect(positions.map(\.?.ahead) == [nil, 0, 0, nil])
            #expect(positions[2]?.queue == Scene.queue && positions[2]?.key == "b" && positions[2]?.priority == 3)
        },
        ConformanceCheck("Whoever watches a store hears of what he himself has given cause to admit, before the call returns") {
            scene in
            let rings = Rings()
            let watch = scene.store.onOutsideDelivery { rings.add() }
            var heard = rings.count
            func hasRung() -> Bool {
                defer { heard = rings.count }
                return rings.count > heard
            }
            try await scene.limit(1)
            #expect(hasRung())
            let runs = [try await scene.queued(), try await scene.queued()]
            #expect(hasRung())
            try await scene.admit()
            heard = rings.count
            try await scene.complete(runs[0])
            #expect(hasRung())
            try await scene.store.quarantine(runs[1].number, reason: "why")
            #expect(hasRung())
            watch.end()
        },
        ConformanceCheck("A place is taken only in a queue that exists, and by whom it is for") { scene in
            let run = SampleRun(key: "k", place: QueuePlace("mail"))
            #expect(try await scene.refusal(of: run.creation) == .queueUnknown("mail"))
            let row = StoreConformance.row("nightly", 1, due: 5)
            let change = ScheduleChange(row.key, on: nil, to: row, starts: [run.new])
            #expect(try await scene.refusal(of: .schedule(change)) == .queueUnknown("mail"))
            #expect(try await scene.store.run(run.record.id) == nil)
            #expect(try await scene.store.schedules(.one(row.key)).isEmpty)
            try await scene.limit(1)
            #expect(try await scene.commit(.schedule(change)).isScheduled)
            #expect(try await scene.store.run(run.record.id)?.state == .queued)
            #expect(try await scene.admit() == 1)
            var parent = try await scene.owned()
            let child = SampleRun(parent: parent, place: QueuePlace("mail"))
            let wrong = parent.advance([EventDraft(.childStarted, subject: "child")], children: [child])
            guard case .invalid = try await scene.refusal(of: .advance(wrong)) else { throw Unexpected("a child in a queue", "") }
            for place in [
                QueuePlace("no name"), QueuePlace("mail", key: "a\nb"),
                QueuePlace("mail", key: String(repeating: "k", count: 257)),
            ] {
                guard case .invalid = try await scene.refusal(of: SampleRun(place: place).creation) else {
                    throw Unexpected("a place with a flaw", place)
                }
            }
        },
    ]
}

/// How often a bell has rung.
private final class Rings: Sendable {
    private let number = Mutex(0)
    var count: Int { number.withLock { $0 } }
    func add() { number.withLock { $0 += 1 } }
}

extension CommitResult {
    fileprivate var isScheduled: Bool { if case .scheduled = self { true } else { false } }
}

extension [SampleRun] {
    fileprivate func positions(in store: any Store) async throws -> [QueuePosition?] {
        var positions: [QueuePosition?] = []
        for run in self { positions.append(try await store.queuePosition(of: run.number)) }
        return positions
    }
}
