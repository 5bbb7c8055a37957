import Dispatch
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// A store as one process of a simulation sees it. Others have their turn before and after each call. When the process dies every call
/// fails: nothing reaches the store any more, and no answer gets back.
final class SimulatedStore: Store {
    private let base: any Store
    private let process: SimulatedProcess
    private let isThreaded: Bool
    private let isDead = Atomic<Bool>(false)

    init(_ base: any Store, process: SimulatedProcess, isThreaded: Bool) {
        self.base = base
        self.process = process
        self.isThreaded = isThreaded
    }

    static func open(
        _ configuration: StoreConfiguration, _ role: StoreConfiguration.Role, isThreaded: Bool
    ) async throws -> any Store {
        guard isThreaded else { return try await configuration.open(role) }
        return try HeldAnswer.wait { @concurrent () async -> Result<any Store, any Error> in
            do {
                return .success(try await configuration.open(role))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    private func pass<Value: Sendable>(
        _ call: StaticString, writes: Bool = false,
        _ body: @escaping @concurrent @Sendable (any Store) async throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        process.loop.noteOutsideCall("the store's '\(call)' was called", of: process.number)
        guard !isDead.load(ordering: .relaxed) else { throw .closed }
        await process.giveWay()
        process.gate?.willCall(call, by: process)
        guard !isDead.load(ordering: .relaxed) else { throw .closed }
        try await process.gate?.reach(call, by: process)
        guard !isDead.load(ordering: .relaxed) else { throw .closed }
        let base = base
        let result =
            isThreaded ? HeldAnswer.wait { await Self.result(of: body, base) } : await Self.result(of: body, base)
        if writes, case .success = result { ringOthers() }
        await process.giveWay()
        guard !isDead.load(ordering: .relaxed) else { throw .closed }
        return try result.get()
    }

    @concurrent private static func result<Value: Sendable>(
        of body: @concurrent @Sendable (any Store) async throws(StoreError) -> Value, _ base: any Store
    ) async -> Result<Value, StoreError> {
        do throws(StoreError) {
            return .success(try await body(base))
        } catch {
            return .failure(error)
        }
    }

    // MARK: Death

    func die() { isDead.store(true, ordering: .relaxed) }

    /// The system closes what a dead process had open.
    func closeBase() async {
        let base = base
        if isThreaded { HeldAnswer.wait { await base.close() } } else { await base.close() }
    }

    func close() async {
        guard !isDead.exchange(true, ordering: .relaxed) else { return }
        await closeBase()
    }

    // MARK: Bells

    func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch {
        let process = process
        // A store with threads would ring when it likes. Here it is known when somebody has written.
        if isThreaded { return process.loop.bells.add(base.identity, process) { process.submit(handler) } }
        return base.onOutsideDelivery { process.submit(handler) }
    }

    private func ringOthers() {
        if isThreaded { process.loop.bells.ring(base.identity, by: process) }
    }

    // MARK: The calls

    var identity: String { base.identity }
    func now() -> Timestamp {
        let now = base.now() + process.misjudgement
        // What a dead engine waits for ends at once, in a time of its own.
        return isDead.load(ordering: .relaxed) ? now + process.timeSinceDeath : now
    }
    var transactions: (any TransactionalStore.Type)? { base.transactions }
    var leaseLength: Duration? { base.leaseLength }

    func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] {
        try await pass("renew") { base async throws(StoreError) in try await base.renew(node) }
    }

    func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID] {
        try await pass("look at nodes") { base async throws(StoreError) in try await base.endLapsed(besides: node) }
    }

    func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] {
        let process = process
        return try await pass("commit", writes: true) { base async throws(StoreError) in
            guard let gate = process.gate else { return try await base.commit(items) }
            return try await gate.commit(items, base, by: process)
        }
    }

    func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        try await pass("transact", writes: true) { base async throws(StoreError) in try await base.transact(transaction) }
    }

    func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed {
        try await pass("claim") { base async throws(StoreError) in try await base.claim(request) }
    }

    func register(_ node: NodeRegistration) async throws(StoreError) {
        try await pass("register") { base async throws(StoreError) in try await base.register(node) }
    }

    func unregister(_ node: NodeID) async throws(StoreError) {
        try await pass("unregister") { base async throws(StoreError) in try await base.unregister(node) }
    }

    func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? {
        try await pass("nextWake") { base async throws(StoreError) in try await base.nextWake(hosted: hosted) }
    }

    func admit() async throws(StoreError) -> Admission {
        try await pass("admit") { base async throws(StoreError) in try await base.admit() }
    }

    func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        try await pass("setQueue", writes: true) { base async throws(StoreError) in
            try await base.setQueue(queue, limits, by: sender)
        }
    }

    func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] {
        try await pass("queues") { base async throws(StoreError) in try await base.queues(namespace: namespace) }
    }

    func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? {
        try await pass("queuePosition") { base async throws(StoreError) in try await base.queuePosition(of: run) }
    }

    func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? {
        try await pass("keyHolder") { base async throws(StoreError) in try await base.keyHolder(key) }
    }

    func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? {
        try await pass("awaitKey") { base async throws(StoreError) in
            try await base.awaitKey(key, run: run, subject: subject)
        }
    }

    func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] {
        try await pass("awaitedKeys") { base async throws(StoreError) in try await base.awaitedKeys(of: run) }
    }

    func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) {
        try await pass("quarantine") { base async throws(StoreError) in
            try await base.quarantine(run, reason: reason, ifUnownedSince: epoch)
        }
    }

    func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry {
        try await pass("expire") { base async throws(StoreError) in try await base.expire(request) }
    }

    func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> {
        try await pass("noteArchived") { base async throws(StoreError) in try await base.noteArchived(histories) }
    }

    func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] {
        try await pass("circuits") { base async throws(StoreError) in try await base.circuits(namespace: namespace) }
    }

    func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer {
        try await pass("setCircuit", writes: true) { base async throws(StoreError) in try await base.setCircuit(change) }
    }

    func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool {
        try await pass("setNamespace") { base async throws(StoreError) in try await base.setNamespace(change) }
    }

    func restoration() async throws(StoreError) -> Restoration? {
        try await pass("restoration") { base async throws(StoreError) in try await base.restoration() }
    }

    func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration {
        try await pass("beginRestoration") { base async throws(StoreError) in
            try await base.beginRestoration(by: by, reason: reason, after: number)
        }
    }

    func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        try await pass("markRestored") { base async throws(StoreError) in
            try await base.markRestored(number, limit: limit, by: by)
        }
    }

    func control(_ key: ControlKey) async throws(StoreError) -> ControlRow? {
        try await pass("control") { base async throws(StoreError) in try await base.control(key) }
    }

    func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow] {
        try await pass("controls") { base async throws(StoreError) in try await base.controls(query) }
    }

    func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool {
        try await pass("changeControl") { base async throws(StoreError) in try await base.changeControl(change) }
    }

    func removeControls(kind: String, dueBy: Timestamp, limit: Int) async throws(StoreError) -> Int {
        try await pass("removeControls") { base async throws(StoreError) in
            try await base.removeControls(kind: kind, dueBy: dueBy, limit: limit)
        }
    }

    func namespaces() async throws(StoreError) -> [NamespaceRow] {
        try await pass("namespaces") { base async throws(StoreError) in try await base.namespaces() }
    }

    func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] {
        try await pass("namespaceCounts") { base async throws(StoreError) in try await base.namespaceCounts() }
    }

    func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool {
        try await pass("setQuotas", writes: true) { base async throws(StoreError) in try await base.setQuotas(change) }
    }

    func quotas() async throws(StoreError) -> [QuotaStanding] {
        try await pass("quotas") { base async throws(StoreError) in try await base.quotas() }
    }

    func run(_ id: RunID) async throws(StoreError) -> RunRecord? {
        try await pass("run") { base async throws(StoreError) in try await base.run(id) }
    }

    func run(number: Int64) async throws(StoreError) -> RunRecord? {
        try await pass("run") { base async throws(StoreError) in try await base.run(number: number) }
    }

    func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord? {
        try await pass("run") { base async throws(StoreError) in
            try await base.run(namespace: namespace, workflow: workflow, key: key)
        }
    }

    func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord? {
        try await pass("lastOfChain") { base async throws(StoreError) in try await base.lastOfChain(begunBy: first) }
    }

    func namespace(of run: RunSearch) async throws(StoreError) -> String? {
        try await pass("namespace") { base async throws(StoreError) in try await base.namespace(of: run) }
    }

    func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] {
        try await pass("runs") { base async throws(StoreError) in try await base.runs(filter) }
    }

    func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] {
        try await pass("runNumbers") { base async throws(StoreError) in
            try await base.runNumbers(before: before, limit: limit)
        }
    }

    func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] {
        try await pass("counts") { base async throws(StoreError) in try await base.counts(namespace: namespace) }
    }

    func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] {
        try await pass("versions") { base async throws(StoreError) in try await base.versions(namespace: namespace) }
    }

    func nodes() async throws(StoreError) -> [NodeStanding] {
        try await pass("nodes") { base async throws(StoreError) in try await base.nodes() }
    }

    func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await pass("events") { base async throws(StoreError) in
            try await base.events(of: run, after: seq, limit: limit)
        }
    }

    func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await pass("events") { base async throws(StoreError) in
            try await base.events(of: run, before: seq, limit: limit)
        }
    }

    func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] {
        try await pass("marked") { base async throws(StoreError) in try await base.marked(kind, subject, in: run) }
    }

    func ended(among waits: [RunWait]) async throws(StoreError) -> [RunWait] {
        try await pass("ended") { base async throws(StoreError) in try await base.ended(among: waits) }
    }

    func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] {
        try await pass("labels") { base async throws(StoreError) in try await base.labels(of: runs) }
    }

    func runMakers() async throws(StoreError) -> Set<String> {
        try await pass("runMakers") { base async throws(StoreError) in try await base.runMakers() }
    }
    func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] {
        try await pass("lastSeqs") { base async throws(StoreError) in try await base.lastSeqs(of: runs) }
    }

    func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? {
        try await pass("knownDelivery") { base async throws(StoreError) in try await base.knownDelivery(id, of: run) }
    }

    func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow] {
        try await pass("schedules") { base async throws(StoreError) in try await base.schedules(query) }
    }

    func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try await pass("heartbeats") { base async throws(StoreError) in try await base.heartbeats(of: run, subject) }
    }

    func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try await pass("inbox") { base async throws(StoreError) in try await base.inbox(run: run, after: number) }
    }

    func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] {
        try await pass("inboxes") { base async throws(StoreError) in try await base.inboxes(of: runs) }
    }

    func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        try await pass("inbox") { base async throws(StoreError) in
            try await base.inbox(ownedBy: node, after: number, limit: limit)
        }
    }

    func interventions(run: Int64) async throws(StoreError) -> [InboxRow] {
        try await pass("interventions") { base async throws(StoreError) in try await base.interventions(run: run) }
    }

    func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest] {
        try await pass("openRequests") { base async throws(StoreError) in
            try await base.openRequests(query)
        }
    }

    func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        try await pass("beginnings") { base async throws(StoreError) in
            try await base.beginnings(of: runs, limit: limit)
        }
    }

    func audit() async throws(StoreError) -> [String] {
        try await pass("audit") { base async throws(StoreError) in try await base.audit() }
    }
}

/// An answer that comes from another thread and is waited for on this one, so that everything in the simulation stands still.
private final class HeldAnswer<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let isThere = DispatchSemaphore(value: 0)

    static func wait(for body: @escaping @concurrent @Sendable () async -> Value) -> Value {
        let answer = HeldAnswer()
        // By way of another thread: this one hands nothing to the pool, so that whatever it does hand there is a mistake.
        DispatchQueue.global().async {
            Task.detached {
                let value = await body()
                answer.value.withLock { $0 = value }
                answer.isThere.signal()
            }
        }
        while true {
            answer.isThere.wait()
            if let value = answer.value.withLock({ $0 }) { return value }
        }
    }
}
