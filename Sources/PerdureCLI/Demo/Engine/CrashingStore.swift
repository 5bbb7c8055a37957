import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// A store that reports what it commits, and gives a crash switch the chance to end the process before and after each commit.
final class CrashingStore: Store {
    private let store: any Store
    private let crash: CrashSwitch
    private let reporter: Reporter
    /// Which run has which number.
    private let records = Mutex<[Int64: RunRecord]>([:])

    init(_ store: any Store, _ crash: CrashSwitch, _ reporter: Reporter) {
        self.store = store
        self.crash = crash
        self.reporter = reporter
    }

    // MARK: What is watched

    func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] {
        for item in items { pass(item, .beforeCommit) }
        let results = try await store.commit(items)
        for (item, result) in zip(items, results) {
            switch result {
            case .created(let record):
                records.withLock { $0[record.number] = record }
                pass(item, .afterCommit)
            case .advanced: pass(item, .afterCommit)
            case .keyTaken, .delivered, .scheduled, .refused: break
            }
        }
        return results
    }

    func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed {
        let claimed = try await store.claim(request)
        for claim in claimed.runs {
            let record = claim.record
            records.withLock { $0[record.number] = record }
            guard claim.isTakeover else { continue }
            reporter.report(EngineReport(what: .takeover, run: record.id.description, workflow: record.workflow))
            crash.pass(.takeover, record.workflow, workflow: record.workflow)
        }
        return claimed
    }

    private func pass(_ item: CommitItem, _ moment: CrashRule.Moment) {
        let record: RunRecord?, events: [Event]
        switch item {
        case .create(let run): (record, events) = (run.record, run.events)
        case .advance(let advance): (record, events) = (records.withLock { $0[advance.run] }, advance.events)
        case .deliver, .beat, .schedule: return
        }
        defer { if moment == .afterCommit { reportRest(item, record) } }
        for event in events {
            if moment == .afterCommit {
                reporter.report(
                    EngineReport(
                        what: .event, run: record?.id.description, workflow: record?.workflow, key: record?.key,
                        kind: event.kind.rawValue,
                        subject: event.subject))
            }
            crash.pass(moment, event.kind.rawValue, subject: event.subject, workflow: record?.workflow ?? "")
        }
    }

    private func reportRest(_ item: CommitItem, _ record: RunRecord?) {
        guard case .advance(let advance) = item, let transition = advance.transition else { return }
        reporter.report(
            EngineReport(
                what: .rest, run: record?.id.description, workflow: record?.workflow, key: record?.key,
                kind: transition.state.rawValue, due: transition.wakeAt?.microseconds))
    }

    // MARK: What is passed on

    var identity: String { store.identity }
    func now() -> Timestamp { store.now() }
    var transactions: (any TransactionalStore.Type)? { store.transactions }
    func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        try await store.transact(transaction)
    }
    func register(_ node: NodeRegistration) async throws(StoreError) { try await store.register(node) }
    func unregister(_ node: NodeID) async throws(StoreError) { try await store.unregister(node) }
    var leaseLength: Duration? { store.leaseLength }
    func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID] { try await store.endLapsed(besides: node) }
    func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] { try await store.renew(node) }
    func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? {
        try await store.nextWake(hosted: hosted)
    }
    func admit() async throws(StoreError) -> Admission { try await store.admit() }
    func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        try await store.setQueue(queue, limits, by: sender)
    }
    func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] { try await store.queues(namespace: namespace) }
    func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? { try await store.queuePosition(of: run) }
    func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? { try await store.keyHolder(key) }
    func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] { try await store.awaitedKeys(of: run) }

    func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? {
        try await store.awaitKey(key, run: run, subject: subject)
    }
    func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) {
        try await store.quarantine(run, reason: reason, ifUnownedSince: epoch)
    }
    func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry { try await store.expire(request) }
    func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> {
        try await store.noteArchived(histories)
    }
    func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] { try await store.circuits(namespace: namespace) }
    func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer { try await store.setCircuit(change) }
    func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool { try await store.setNamespace(change) }
    func restoration() async throws(StoreError) -> Restoration? { try await store.restoration() }
    func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration {
        try await store.beginRestoration(by: by, reason: reason, after: number)
    }
    func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        try await store.markRestored(number, limit: limit, by: by)
    }
    func control(_ key: ControlKey) async throws(StoreError) -> ControlRow? { try await store.control(key) }
    func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow] { try await store.controls(query) }
    func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool { try await store.changeControl(change) }
    func removeControls(kind: String, dueBy: Timestamp, limit: Int) async throws(StoreError) -> Int {
        try await store.removeControls(kind: kind, dueBy: dueBy, limit: limit)
    }
    func namespaces() async throws(StoreError) -> [NamespaceRow] { try await store.namespaces() }
    func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] { try await store.namespaceCounts() }
    func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool { try await store.setQuotas(change) }
    func quotas() async throws(StoreError) -> [QuotaStanding] { try await store.quotas() }
    func run(_ id: RunID) async throws(StoreError) -> RunRecord? { try await store.run(id) }
    func run(number: Int64) async throws(StoreError) -> RunRecord? { try await store.run(number: number) }
    func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] {
        try await store.runNumbers(before: before, limit: limit)
    }
    func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord? {
        try await store.run(namespace: namespace, workflow: workflow, key: key)
    }
    func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord? {
        try await store.lastOfChain(begunBy: first)
    }
    func namespace(of run: RunSearch) async throws(StoreError) -> String? { try await store.namespace(of: run) }
    func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] { try await store.runs(filter) }
    func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] { try await store.counts(namespace: namespace) }
    func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] {
        try await store.versions(namespace: namespace)
    }
    func nodes() async throws(StoreError) -> [NodeStanding] { try await store.nodes() }
    func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await store.events(of: run, after: seq, limit: limit)
    }
    func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await store.events(of: run, before: seq, limit: limit)
    }
    func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        try await store.beginnings(of: runs, limit: limit)
    }
    func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] { try await store.inboxes(of: runs) }
    func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try await store.inbox(run: run, after: number)
    }
    func interventions(run: Int64) async throws(StoreError) -> [InboxRow] { try await store.interventions(run: run) }
    func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        try await store.inbox(ownedBy: node, after: number, limit: limit)
    }
    func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] {
        try await store.marked(kind, subject, in: run)
    }

    func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? {
        try await store.knownDelivery(id, of: run)
    }

    func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow] {
        try await store.schedules(query)
    }

    func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try await store.heartbeats(of: run, subject)
    }

    func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] {
        try await store.labels(of: runs)
    }

    func runMakers() async throws(StoreError) -> Set<String> { try await store.runMakers() }
    func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] { try await store.lastSeqs(of: runs) }
    func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest] {
        try await store.openRequests(query)
    }
    func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch { store.onOutsideDelivery(handler) }
    func audit() async throws(StoreError) -> [String] { try await store.audit() }
    func close() async { await store.close() }
}
