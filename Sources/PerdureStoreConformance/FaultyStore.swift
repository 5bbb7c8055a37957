package import Perdure
package import PerdureHistory
package import PerdureStore
internal import Synchronization

/// A store whose calls fail by plan: before they do anything, or after, with their answer lost. Deliveries may also be made twice,
/// and come late. What it tells its callers is true: "unavailable" changed nothing, "outcome unknown" may be repeated.
package final class FaultyStore: Store {
    private let inner: any Store
    private let plan: Mutex<Plan>
    /// The claim whose answer was lost. Its repeat gets it, as every store must give it.
    private let lostClaim = Mutex<Claimed?>(nil)

    package init(_ inner: any Store, _ plan: Plan) {
        self.inner = inner
        self.plan = Mutex(plan)
    }

    package var identity: String { inner.identity }
    package func now() -> Timestamp { inner.now() }

    /// Runs a call that changes something.
    private func change<Answer>(_ call: () async throws(StoreError) -> Answer) async throws(StoreError) -> Answer {
        switch plan.withLock({ $0.nextFault() }) {
        case nil: return try await call()
        case .refuse: throw .unavailable("refused by plan")
        case .loseAnswer:
            _ = try await call()
            throw .outcomeUnknown("the answer was lost by plan")
        }
    }

    package func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] {
        let isDelivery = items.contains { if case .deliver = $0 { true } else { false } }
        if isDelivery {
            for _ in 0..<plan.withLock({ $0.turnsLost() }) { await Task.yield() }
            if plan.withLock({ $0.duplicates() }) { _ = try await inner.commit(items) }
        }
        return try await change { () throws(StoreError) in try await inner.commit(items) }
    }

    /// The same without delays: what is awaited nowhere lets nobody go first.
    package func commitHere(_ items: [CommitItem]) throws(StoreError) -> [CommitResult] {
        let isDelivery = items.contains { if case .deliver = $0 { true } else { false } }
        if isDelivery, plan.withLock({ $0.duplicates() }) { _ = try inner.commitHere(items) }
        switch plan.withLock({ $0.nextFault() }) {
        case nil: return try inner.commitHere(items)
        case .refuse: throw .unavailable("refused by plan")
        case .loseAnswer:
            _ = try inner.commitHere(items)
            throw .outcomeUnknown("the answer was lost by plan")
        }
    }

    package var transactions: (any TransactionalStore.Type)? { inner.transactions }

    package func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        try await change { () throws(StoreError) in try await inner.transact(transaction) }
    }

    package func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed {
        let claimed = try await change { () throws(StoreError) in
            if let lost = lostClaim.withLock({ $0 }) { return lost }
            let claimed = try await inner.claim(request)
            lostClaim.withLock { $0 = claimed }
            return claimed
        }
        lostClaim.withLock { $0 = nil }
        return claimed
    }

    package func register(_ node: NodeRegistration) async throws(StoreError) {
        try await change { () throws(StoreError) in try await inner.register(node) }
    }

    package func unregister(_ node: NodeID) async throws(StoreError) {
        try await change { () throws(StoreError) in try await inner.unregister(node) }
    }

    package var leaseLength: Duration? { inner.leaseLength }
    package var lookPause: Duration? { inner.lookPause }

    package func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] {
        try await change { () throws(StoreError) in try await inner.renew(node) }
    }

    package func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID] {
        try await change { () throws(StoreError) in try await inner.endLapsed(besides: node) }
    }

    package func admit() async throws(StoreError) -> Admission {
        try await change { () throws(StoreError) in try await inner.admit() }
    }

    package func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        try await change { () throws(StoreError) in try await inner.setQueue(queue, limits, by: sender) }
    }

    package func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? {
        try await change { () throws(StoreError) in try await inner.awaitKey(key, run: run, subject: subject) }
    }

    package func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) {
        try await change { () throws(StoreError) in
            try await inner.quarantine(run, reason: reason, ifUnownedSince: epoch)
        }
    }

    package func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry {
        try await change { () throws(StoreError) in try await inner.expire(request) }
    }

    package func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> {
        try await change { () throws(StoreError) in try await inner.noteArchived(histories) }
    }

    package func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] {
        try await inner.circuits(namespace: namespace)
    }

    package func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer {
        try await self.change { () throws(StoreError) in try await inner.setCircuit(change) }
    }

    package func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool {
        try await self.change { () throws(StoreError) in try await inner.setNamespace(change) }
    }

    package func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool {
        try await self.change { () throws(StoreError) in try await inner.setQuotas(change) }
    }

    package func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration {
        try await change { () throws(StoreError) in try await inner.beginRestoration(by: by, reason: reason, after: number) }
    }

    package func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        try await change { () throws(StoreError) in try await inner.markRestored(number, limit: limit, by: by) }
    }

    /// Rings twice: a spurious call is allowed.
    package func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch {
        inner.onOutsideDelivery {
            handler()
            handler()
        }
    }

    package func close() async { await inner.close() }
}

/// Reading passes through unharmed.
extension FaultyStore {
    package func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? {
        try await inner.nextWake(hosted: hosted)
    }

    package func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] {
        try await inner.queues(namespace: namespace)
    }

    package func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? {
        try await inner.queuePosition(of: run)
    }

    package func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? { try await inner.keyHolder(key) }

    package func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] {
        try await inner.awaitedKeys(of: run)
    }

    package func restoration() async throws(StoreError) -> Restoration? { try await inner.restoration() }

    package func control(_ key: ControlKey) async throws(StoreError) -> ControlRow? { try await inner.control(key) }
    package func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow] { try await inner.controls(query) }
    package func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool {
        try await self.change { () throws(StoreError) in try await inner.changeControl(change) }
    }
    package func removeControls(kind: String, dueBy: Timestamp, limit: Int) async throws(StoreError) -> Int {
        try await self.change { () throws(StoreError) in try await inner.removeControls(kind: kind, dueBy: dueBy, limit: limit) }
    }

    package func namespaces() async throws(StoreError) -> [NamespaceRow] { try await inner.namespaces() }

    package func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] { try await inner.namespaceCounts() }

    package func quotas() async throws(StoreError) -> [QuotaStanding] { try await inner.quotas() }

    package func run(_ id: RunID) async throws(StoreError) -> RunRecord? { try await inner.run(id) }

    package func run(number: Int64) async throws(StoreError) -> RunRecord? { try await inner.run(number: number) }

    package func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] {
        try await inner.runNumbers(before: before, limit: limit)
    }

    package func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord? {
        try await inner.run(namespace: namespace, workflow: workflow, key: key)
    }

    package func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord? {
        try await inner.lastOfChain(begunBy: first)
    }

    package func namespace(of run: RunSearch) async throws(StoreError) -> String? { try await inner.namespace(of: run) }

    package func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] { try await inner.runs(filter) }

    package func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] {
        try await inner.counts(namespace: namespace)
    }

    package func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] {
        try await inner.versions(namespace: namespace)
    }

    package func nodes() async throws(StoreError) -> [NodeStanding] { try await inner.nodes() }

    package func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await inner.events(of: run, after: seq, limit: limit)
    }

    package func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await inner.events(of: run, before: seq, limit: limit)
    }

    package func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        try await inner.beginnings(of: runs, limit: limit)
    }

    package func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] {
        try await inner.inboxes(of: runs)
    }

    package func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try await inner.inbox(run: run, after: number)
    }
    package func interventions(run: Int64) async throws(StoreError) -> [InboxRow] { try await inner.interventions(run: run) }

    package func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        try await inner.inbox(ownedBy: node, after: number, limit: limit)
    }

    package func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] {
        try await inner.marked(kind, subject, in: run)
    }

    package func ended(among waits: [RunWait]) async throws(StoreError) -> [RunWait] { try await inner.ended(among: waits) }

    package func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? {
        try await inner.knownDelivery(id, of: run)
    }

    package func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow] {
        try await inner.schedules(query)
    }

    package func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try await inner.heartbeats(of: run, subject)
    }

    package func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] {
        try await inner.labels(of: runs)
    }

    package func runMakers() async throws(StoreError) -> Set<String> { try await inner.runMakers() }
    package func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] { try await inner.lastSeqs(of: runs) }

    package func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest] {
        try await inner.openRequests(query)
    }

    package func audit() async throws(StoreError) -> [String] { try await inner.audit() }
}
