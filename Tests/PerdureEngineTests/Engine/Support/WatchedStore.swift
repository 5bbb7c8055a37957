import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// A call of the store, as a script looks at it.
enum StoreCall: Sendable {
    /// Commits are counted from 1 within one opening of the store.
    case commit(Int, [CommitItem])
    case claim(Int)
    case ended([RunWait])
    case heartbeats, schedules
    case admit, events, lastEvents, inbox, ownedInbox, nextWake, awaitKey, quarantine, expire, run, other
}

/// What becomes of a call.
enum StoreFate: Sendable {
    case apply
    /// It is done, and the caller hears of it when the closure has returned.
    case applyThen(@Sendable () async -> Void)
    case fail(StoreError)
    /// It is done, but the caller is told otherwise.
    case applyAndFail(StoreError)
    /// Every item of the commit is refused, and nothing is done.
    case refuse(CommitRefusal)
    /// The process dies before or after the call.
    case dieBefore, dieAfter
    /// It dies when the work of a transaction is done and nothing of it is durable.
    case dieDuring
}

/// Says what becomes of the calls of a store. May wait in between.
final class StoreScript: Sendable {
    typealias Rule = @Sendable (StoreCall) async -> StoreFate

    /// Around the closure: a bare one would be wrapped once more by every look, and each call would take longer than the one before.
    private struct State { var rule: Rule? }
    private let state = Mutex(State())

    var rule: Rule? { state.withLock { $0.rule } }
    func set(_ rule: Rule?) { state.withLock { $0.rule = rule } }
}

/// A store that tells the test about every call, fails as the script says, and can die like a process: from then on nothing reaches
/// the file, no answer gets back, and the runs stay owned.
final class WatchedStore: Store {
    private struct State {
        var isDead = false
        /// Will be dead when the call that is under way has been done.
        var isDying = false
        /// Nothing of the transaction that is under way becomes durable.
        var fallsApart = false
        var commits = 0
        var claims = 0
        var watches = 0
    }

    private let base: any Store
    private let clock: ProcessClock?
    private let pulse: Pulse
    private let script: StoreScript
    private let state = Mutex(State())

    init(_ base: any Store, clock: ProcessClock? = nil, pulse: Pulse, script: StoreScript) {
        self.base = base
        self.clock = clock
        self.pulse = pulse
        self.script = script
    }

    /// Whether the process is dead, or will be before it hears of what it has done last.
    var isDoomed: Bool { state.withLock { $0.isDead || $0.isDying } }
    private var isDead: Bool { state.withLock { $0.isDead } }

    func die() {
        state.withLock { $0.isDead = true }
        pulse.ring()
    }

    private func pass<T: Sendable>(
        _ call: StoreCall, refusing: (CommitRefusal) -> T? = { _ in nil }, _ body: () async throws(StoreError) -> T
    ) async throws(StoreError) -> T {
        guard !isDead else { throw .closed }
        defer { pulse.ring() }
        let fate = await script.rule?(call) ?? .apply
        guard !isDead else { throw .closed }
        switch fate {
        case .apply: break
        case .applyThen(let wait):
            let result = try await body()
            await wait()
            guard !isDead else { throw .closed }
            return result
        case .refuse(let refusal): if let refused = refusing(refusal) { return refused }
        case .fail(let error): throw error
        case .applyAndFail(let error):
            _ = try await body()
            throw error
        case .dieBefore:
            die()
            throw .closed
        case .dieAfter, .dieDuring:
            if case .dieDuring = fate { state.withLock { $0.fallsApart = true } }
            state.withLock { $0.isDying = true }
            _ = try await body()
            die()
            throw .closed
        }
        let result = try await body()
        guard !isDead else { throw .closed }
        return result
    }

    var identity: String { base.identity }
    /// As long as the process lives, the store's time; when it is dead, all time is over.
    func now() -> Timestamp { clock?.now() ?? base.now() }

    func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] {
        let number = state.withLock { state in
            state.commits += 1
            return state.commits
        }
        return try await pass(.commit(number, items), refusing: { refusal in items.map { _ in .refused(refusal) } }) {
            () async throws(StoreError) in try await base.commit(items)
        }
    }

    var transactions: (any TransactionalStore.Type)? { base.transactions }

    /// Counted among the commits.
    func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        let number = state.withLock { state in
            state.commits += 1
            return state.commits
        }
        return try await pass(.commit(number, []), refusing: { .refused($0) }) { () async throws(StoreError) in
            try await base.transact(
                StoreTransaction(limit: transaction.limit, earlier: transaction.earlier, work: transaction.work) {
                    [self] output in
                    state.withLock { $0.fallsApart } ? nil : transaction.record(output)
                })
        }
    }

    /// Where nothing is scripted, the store's own way is taken.
    func commitHere(_ items: [CommitItem]) throws(StoreError) -> [CommitResult] {
        if script.rule != nil { return try commitAwaited(items) }
        guard !isDead else { throw .closed }
        defer { pulse.ring() }
        state.withLock { $0.commits += 1 }
        let results = try base.commitHere(items)
        guard !isDead else { throw .closed }
        return results
    }

    func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed {
        let number = state.withLock { state in
            state.claims += 1
            return state.claims
        }
        return try await pass(.claim(number)) { () async throws(StoreError) in try await base.claim(request) }
    }

    func register(_ node: NodeRegistration) async throws(StoreError) {
        try await pass(.other) { () async throws(StoreError) in try await base.register(node) }
    }

    func unregister(_ node: NodeID) async throws(StoreError) {
        try await pass(.other) { () async throws(StoreError) in try await base.unregister(node) }
    }

    var leaseLength: Duration? { base.leaseLength }

    func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID] {
        try await pass(.other) { () async throws(StoreError) in try await base.endLapsed(besides: node) }
    }

    func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] {
        try await pass(.other) { () async throws(StoreError) in try await base.renew(node) }
    }

    func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? {
        try await pass(.nextWake) { () async throws(StoreError) in try await base.nextWake(hosted: hosted) }
    }

    func admit() async throws(StoreError) -> Admission {
        try await pass(.admit) { () async throws(StoreError) in try await base.admit() }
    }

    func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        try await pass(.other) { () async throws(StoreError) in try await base.setQueue(queue, limits, by: sender) }
    }

    func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] {
        try await pass(.other) { () async throws(StoreError) in try await base.queues(namespace: namespace) }
    }

    func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? {
        try await pass(.other) { () async throws(StoreError) in try await base.queuePosition(of: run) }
    }

    func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? {
        try await pass(.other) { () async throws(StoreError) in try await base.keyHolder(key) }
    }

    func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? {
        try await pass(.awaitKey) { () async throws(StoreError) in try await base.awaitKey(key, run: run, subject: subject) }
    }

    func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] {
        try await pass(.other) { () async throws(StoreError) in try await base.awaitedKeys(of: run) }
    }

    func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) {
        try await pass(.quarantine) { () async throws(StoreError) in
            try await base.quarantine(run, reason: reason, ifUnownedSince: epoch)
        }
    }

    func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry {
        try await pass(.expire) { () async throws(StoreError) in try await base.expire(request) }
    }

    func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> {
        try await pass(.other) { () async throws(StoreError) in try await base.noteArchived(histories) }
    }

    func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] {
        try await pass(.other) { () async throws(StoreError) in try await base.circuits(namespace: namespace) }
    }

    func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer {
        try await pass(.other) { () async throws(StoreError) in try await base.setCircuit(change) }
    }

    func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool {
        try await pass(.other) { () async throws(StoreError) in try await base.setNamespace(change) }
    }

    func restoration() async throws(StoreError) -> Restoration? {
        try await pass(.other) { () async throws(StoreError) in try await base.restoration() }
    }

    func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration {
        try await pass(.other) { () async throws(StoreError) in
            try await base.beginRestoration(by: by, reason: reason, after: number)
        }
    }

    func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        try await pass(.other) { () async throws(StoreError) in
            try await base.markRestored(number, limit: limit, by: by)
        }
    }

    func control(_ key: ControlKey) async throws(StoreError) -> ControlRow? {
        try await pass(.other) { () async throws(StoreError) in try await base.control(key) }
    }

    func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow] {
        try await pass(.other) { () async throws(StoreError) in try await base.controls(query) }
    }

    func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool {
        try await pass(.other) { () async throws(StoreError) in try await base.changeControl(change) }
    }

    func removeControls(kind: String, dueBy: Timestamp, limit: Int) async throws(StoreError) -> Int {
        try await pass(.other) { () async throws(StoreError) in
            try await base.removeControls(kind: kind, dueBy: dueBy, limit: limit)
        }
    }

    func namespaces() async throws(StoreError) -> [NamespaceRow] {
        try await pass(.other) { () async throws(StoreError) in try await base.namespaces() }
    }

    func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] {
        try await pass(.other) { () async throws(StoreError) in try await base.namespaceCounts() }
    }

    func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool {
        try await pass(.other) { () async throws(StoreError) in try await base.setQuotas(change) }
    }

    func quotas() async throws(StoreError) -> [QuotaStanding] {
        try await pass(.other) { () async throws(StoreError) in try await base.quotas() }
    }

    func run(_ id: RunID) async throws(StoreError) -> RunRecord? {
        try await pass(.run) { () async throws(StoreError) in try await base.run(id) }
    }

    func run(number: Int64) async throws(StoreError) -> RunRecord? {
        try await pass(.run) { () async throws(StoreError) in try await base.run(number: number) }
    }

    func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] {
        try await pass(.other) { () async throws(StoreError) in try await base.runNumbers(before: before, limit: limit) }
    }

    func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord? {
        try await pass(.run) { () async throws(StoreError) in
            try await base.run(namespace: namespace, workflow: workflow, key: key)
        }
    }

    func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord? {
        try await pass(.run) { () async throws(StoreError) in try await base.lastOfChain(begunBy: first) }
    }

    func namespace(of run: RunSearch) async throws(StoreError) -> String? {
        try await pass(.run) { () async throws(StoreError) in try await base.namespace(of: run) }
    }

    func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] {
        try await pass(.other) { () async throws(StoreError) in try await base.runs(filter) }
    }

    func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] {
        try await pass(.other) { () async throws(StoreError) in try await base.counts(namespace: namespace) }
    }

    func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] {
        try await pass(.other) { () async throws(StoreError) in try await base.versions(namespace: namespace) }
    }

    func nodes() async throws(StoreError) -> [NodeStanding] {
        try await pass(.other) { () async throws(StoreError) in try await base.nodes() }
    }

    func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await pass(.events) { () async throws(StoreError) in try await base.events(of: run, after: seq, limit: limit) }
    }

    func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await pass(.lastEvents) { () async throws(StoreError) in
            try await base.events(of: run, before: seq, limit: limit)
        }
    }

    /// A script sees the run's events and inbox read one by one.
    func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        guard script.rule == nil else { return [:] }
        return try await pass(.other) { () async throws(StoreError) in try await base.beginnings(of: runs, limit: limit) }
    }

    func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try await pass(.inbox) { () async throws(StoreError) in try await base.inbox(run: run, after: number) }
    }

    func interventions(run: Int64) async throws(StoreError) -> [InboxRow] {
        try await pass(.inbox) { () async throws(StoreError) in try await base.interventions(run: run) }
    }

    func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        try await pass(.ownedInbox) { () async throws(StoreError) in
            try await base.inbox(ownedBy: node, after: number, limit: limit)
        }
    }

    func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] {
        try await pass(.other) { () async throws(StoreError) in try await base.marked(kind, subject, in: run) }
    }

    func ended(among waits: [RunWait]) async throws(StoreError) -> [RunWait] {
        try await pass(.ended(waits)) { () async throws(StoreError) in try await base.ended(among: waits) }
    }

    func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? {
        try await pass(.other) { () async throws(StoreError) in try await base.knownDelivery(id, of: run) }
    }

    func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow] {
        try await pass(.schedules) { () async throws(StoreError) in try await base.schedules(query) }
    }

    func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try await pass(.heartbeats) { () async throws(StoreError) in try await base.heartbeats(of: run, subject) }
    }

    func runMakers() async throws(StoreError) -> Set<String> {
        try await pass(.other) { () async throws(StoreError) in try await base.runMakers() }
    }

    func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] {
        try await pass(.other) { () async throws(StoreError) in try await base.lastSeqs(of: runs) }
    }

    func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] {
        try await pass(.other) { () async throws(StoreError) in try await base.labels(of: runs) }
    }

    func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest] {
        try await pass(.other) { () async throws(StoreError) in try await base.openRequests(query) }
    }

    func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch {
        state.withLock { $0.watches += 1 }
        let watch = base.onOutsideDelivery(handler)
        return OutsideWatch { [self] in
            watch.end()
            state.withLock { $0.watches -= 1 }
        }
    }

    /// How many handlers are called when another process has delivered something.
    var watches: Int { state.withLock { $0.watches } }

    func audit() async throws(StoreError) -> [String] {
        try await pass(.other) { () async throws(StoreError) in try await base.audit() }
    }

    func close() async { await base.close() }
}

extension CommitItem {
    /// Whether it adds an event of this kind to a history.
    func adds(_ kind: EventKind) -> Bool {
        if case .advance(let advance) = self { advance.events.contains { $0.kind == kind } } else { false }
    }
}
