internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Synchronization
internal import Testing

/// A store with a node, and the few sentences that the checks are made of.
final class Scene: Sendable {
    let harness: any StoreHarness
    let node = NodeID(rawValue: "node-1")
    private let current: Mutex<any Store>
    private let others = Mutex<[any Store]>([])

    static let hosted: [ClaimRequest.Hosted] = [.init(workflow: "greeting", version: "1")]

    init(_ harness: some StoreHarness) async throws {
        self.harness = harness
        let store = try await harness.open(.engine)
        current = Mutex(store)
        try await store.register(Self.registration(node))
    }

    var store: any Store { current.withLock { $0 } }
    var clock: ManualClock { harness.clock }

    static func registration(_ node: NodeID) -> NodeRegistration {
        NodeRegistration(id: node, build: "b1", host: "host", processID: 1, hosted: hosted)
    }

    /// The process ends without a word, and another one starts on the same data and learns that the first is dead.
    func restart(as node: NodeID, build: String = "b1") async throws {
        await store.close()
        let store = try await harness.open(.engine)
        current.withLock { $0 = store }
        try await store.register(NodeRegistration(id: node, build: build, host: "host", processID: 2))
        guard let length = store.leaseLength else { return }
        for _ in 0..<2 {
            clock.advance(by: length / 2)
            try await store.renew(node)
        }
    }

    /// Another process with a node of its own, on the same data at the same time.
    func join(as node: NodeID) async throws -> any Store {
        let store = try await harness.open(.engine)
        others.withLock { $0.append(store) }
        try await store.register(Self.registration(node))
        return store
    }

    /// A second process that reads and delivers.
    func client() async throws -> any Store {
        let client = try await harness.open(.client)
        others.withLock { $0.append(client) }
        return client
    }

    /// Uses `wrap`'s store in place of the present one.
    func wrap(_ wrap: (any Store) -> any Store) {
        current.withLock { $0 = wrap($0) }
    }

    func finish() async throws {
        let breaches = try await store.audit()
        #expect(breaches.isEmpty, "after the check the store is not sound")
        await abandon()
    }

    func abandon() async {
        for other in others.withLock({ $0 }) { await other.close() }
        await store.close()
        await harness.remove()
    }

    // MARK: Commits

    func commit(_ item: CommitItem) async throws -> CommitResult {
        let results = try await store.commit([item])
        return try #require(results.first)
    }

    /// Makes the run, which must not exist yet.
    func create(_ run: SampleRun) async throws -> SampleRun {
        let result = try await commit(run.creation)
        guard case .created(let record) = result else { throw Unexpected("creating a run", result) }
        var run = run
        run.record = record
        return run
    }

    /// A run that the node owns.
    func owned(_ workflow: String = "greeting", key: String? = nil) async throws -> SampleRun {
        try await create(SampleRun(workflow: workflow, key: key, owner: node, at: clock.now))
    }

    /// A run that waits, for a time or only for its inbox.
    func waiting(until wakeAt: Timestamp? = nil, workflow: String = "greeting") async throws -> SampleRun {
        try await resting(.init(to: .waiting, wakeAt: wakeAt), workflow: workflow)
    }

    /// A run in the state that the transition leads to.
    func resting(_ transition: RunTransition, workflow: String = "greeting") async throws -> SampleRun {
        var run = try await owned(workflow)
        try await advance(run.advance(Self.closing(transition.state), to: transition))
        return run
    }

    static func closing(_ state: RunState) -> [EventDraft] {
        switch state {
        case .completed: [EventDraft(.runCompleted)]
        case .failed: [EventDraft(.runFailed)]
        case .cancelled: [EventDraft(.runCancelled)]
        case .terminated: [EventDraft(.runTerminated)]
        default: []
        }
    }

    func advance(_ advance: RunAdvance) async throws {
        let result = try await commit(.advance(advance))
        guard case .advanced = result else { throw Unexpected("advancing a run", result) }
    }

    func refusal(of item: CommitItem) async throws -> CommitRefusal {
        let result = try await commit(item)
        guard case .refused(let refusal) = result else { throw Unexpected("a commit that must be refused", result) }
        return refusal
    }

    @discardableResult
    func deliver(
        _ kind: InboxKind = .signal, to run: SampleRun, id: String, name: String = "go", payload: [UInt8]? = nil,
        through other: (any Store)? = nil
    ) async throws -> Bool {
        let delivery = Delivery(to: run.record.id, id: id, kind: kind, name: name, payload: payload, sender: Sample.person)
        let result = try await (other ?? store).commit([.deliver(delivery)]).first
        guard case .delivered(let isDuplicate) = result else { throw Unexpected("a delivery", result) }
        return isDuplicate
    }

    // MARK: Claims

    func claim(
        _ limit: Int = 10, build: String = "b1", hosted: [ClaimRequest.Hosted] = Scene.hosted, only: [Int64]? = nil,
        ahead: Duration = .zero, as node: NodeID? = nil, through other: (any Store)? = nil
    ) async throws -> [ClaimedRun] {
        try await (other ?? store).claim(
            ClaimRequest(node: node ?? self.node, build: build, hosted: hosted, limit: limit, only: only, ahead: ahead)
        ).runs
    }

    func record(_ run: SampleRun) async throws -> RunRecord {
        try #require(try await store.run(run.record.id))
    }

    func history(_ run: SampleRun) async throws -> [Event] {
        var events: [Event] = []
        while true {
            let page = try await store.events(of: run.number, after: events.last?.seq ?? 0, limit: 1_000)
            if page.isEmpty { return events }
            events += page
        }
    }
}

/// An answer that the check cannot go on from.
struct Unexpected: Error, CustomStringConvertible {
    let description: String

    init(_ what: String, _ found: some Any) { description = "\(what) gave \(found)" }
}
