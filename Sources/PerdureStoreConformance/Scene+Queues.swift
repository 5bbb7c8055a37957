internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

/// What checks of queues are made of.
extension Scene {
    static let queue = QueueKey(namespace: "default", name: "mail")

    func limit(_ concurrency: Int, perKey: Int? = nil, rate: Rate? = nil) async throws {
        let limits = QueueLimits(concurrency: concurrency, perKey: perKey, rate: rate)
        try await store.setQueue(Self.queue, limits, by: Sample.person)
    }

    /// A run that waits in the queue.
    func queued(
        _ key: String = "", priority: Int = 5, deadline: Timestamp? = nil, workflow: String = "greeting"
    ) async throws -> SampleRun {
        try await create(
            SampleRun(
                workflow: workflow, at: clock.now, place: QueuePlace("mail", key: key, priority: priority), deadline: deadline))
    }

    /// Admits all that can be at this moment, as somebody does who calls again as long as there is cause to.
    @discardableResult
    func admit(through other: (any Store)? = nil) async throws -> Int {
        var admitted = 0
        for _ in 0..<1_000 {
            let admission = try await (other ?? store).admit()
            admitted += admission.admitted
            guard let next = admission.next, next <= clock.now else { return admitted }
        }
        throw Unexpected("admitting", "cause to do it again for ever")
    }

    /// Those of the runs that are admitted, by their places in the list.
    func admitted(_ runs: [SampleRun]) async throws -> [Int] {
        var found: [Int] = []
        for (place, run) in runs.enumerated() where try await record(run).isAdmitted { found.append(place) }
        return found
    }

    /// An admitted run is taken on and ends.
    func complete(_ run: SampleRun) async throws {
        var run = run
        run.take(over: try #require(try await claim(only: [run.number]).first))
        try await advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
    }

    /// The order in which runs are admitted where one has to end before the next.
    func order(of runs: [SampleRun], count: Int? = nil) async throws -> [Int] {
        var order: [Int] = []
        while order.count < count ?? runs.count {
            try await admit()
            let open = runs.indices.filter { !order.contains($0) }
            var next: [Int] = []
            for place in open where try await record(runs[place]).state == .ready { next.append(place) }
            guard next.count == 1, let place = next.first else { throw Unexpected("admitting one of \(open)", next) }
            order.append(place)
            try await complete(runs[place])
        }
        return order
    }

    /// Lends a run out that has a message which needs no code.
    func lend(_ run: inout SampleRun, for kind: InboxKind, id: String = "m") async throws -> [Int64] {
        try await deliver(kind, to: run, id: id, name: "")
        run.take(over: try #require(try await claim(hosted: []).first { $0.record.number == run.number }))
        return try await store.inbox(run: run.number).filter { $0.delivery.id == id }.map(\.number)
    }

    func standing() async throws -> QueueStanding {
        try #require(try await store.queues(namespace: "default").first { $0.queue == Self.queue })
    }
}
