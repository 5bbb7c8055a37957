package import Perdure
package import PerdureHistory

/// A store of which only one namespace is to be seen: the one gate that a confined client goes through.
///
/// A run, schedule, queue or key of another namespace is not there, and a message to such a run finds nobody: the answer is the one that an
/// id gets which was never given, and nothing is written. Numbers of runs are known from rows that have come through here, so that what is
/// asked by number needs no second look. What belongs to engines and operators is refused.
package struct ConfinedStore: Store {
    private let base: any Store
    package let namespace: String

    package init(_ base: any Store, to namespace: String) {
        self.base = base
        self.namespace = namespace
    }

    // MARK: The gate

    /// What the look finds if it belongs here. A run that this release cannot read is told of to its own namespace only.
    private func own(
        _ run: RunSearch, _ look: () async throws(StoreError) -> RunRecord?
    ) async throws(StoreError) -> RunRecord? {
        do throws(StoreError) {
            let record = try await look()
            return record?.namespace == namespace ? record : nil
        } catch {
            switch error {
            case .corrupt, .unsupported:
                guard try await base.namespace(of: run) == namespace else { return nil }
                throw error
            case .unavailable, .awaitsNodes, .outcomeUnknown, .unusable, .leaseLost, .closed: throw error
            }
        }
    }

    /// Whether something is asked of this namespace, or of all that is to be seen.
    private func covers(_ other: String?) -> Bool { other == nil || other == namespace }

    /// The item as it may go into the store behind this, or why it may not.
    package static func confine(_ item: CommitItem, to namespace: String) -> Result<CommitItem, ConfinementRefusal> {
        func confined(_ delivery: Delivery) -> Delivery {
            var delivery = delivery
            delivery.within = namespace
            return delivery
        }
        switch item {
        case .create(let run) where run.record.namespace == namespace: return .success(item)
        case .deliver(let delivery): return .success(.deliver(confined(delivery)))
        case .schedule(var change) where change.key.namespace == namespace:
            change.deliveries = change.deliveries.map(confined)
            return .success(.schedule(change))
        case .create, .schedule: return .failure(ConfinementRefusal("who asks is confined to namespace '\(namespace)'"))
        case .advance, .beat: return .failure(ConfinementRefusal("who asks hosts no runs"))
        }
    }

    private func refusal(_ wish: String) -> StoreError {
        .unusable(.usage, "This client is confined to namespace '\(namespace)' and cannot \(wish).")
    }

    // MARK: Commits

    package func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] {
        let (passing, answers) = sorted(items)
        return Self.merge(passing.isEmpty ? [] : try await base.commit(passing), into: answers)
    }

    package func commitHere(_ items: [CommitItem]) throws(StoreError) -> [CommitResult] {
        let (passing, answers) = sorted(items)
        return Self.merge(passing.isEmpty ? [] : try base.commitHere(passing), into: answers)
    }

    private func sorted(_ items: [CommitItem]) -> (passing: [CommitItem], answers: [CommitResult?]) {
        var passing: [CommitItem] = [], answers: [CommitResult?] = []
        for item in items {
            switch Self.confine(item, to: namespace) {
            case .success(let confined):
                passing.append(confined)
                answers.append(nil)
            case .failure(let refusal): answers.append(.refused(.invalid(refusal.reason)))
            }
        }
        return (passing, answers)
    }

    private static func merge(_ results: [CommitResult], into answers: [CommitResult?]) -> [CommitResult] {
        var rest = results[...]
        return answers.compactMap { $0 ?? rest.popFirst() }
    }

    // MARK: Runs

    package func run(_ id: RunID) async throws(StoreError) -> RunRecord? {
        try await own(.id(id)) { () async throws(StoreError) in try await base.run(id) }
    }

    package func run(number: Int64) async throws(StoreError) -> RunRecord? {
        try await own(.number(number)) { () async throws(StoreError) in try await base.run(number: number) }
    }

    package func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord? {
        covers(namespace) ? try await base.run(namespace: namespace, workflow: workflow, key: key) : nil
    }

    package func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord? {
        try await own(.endOfChain(begunBy: first)) { () async throws(StoreError) in try await base.lastOfChain(begunBy: first) }
    }

    package func namespace(of run: RunSearch) async throws(StoreError) -> String? {
        try await base.namespace(of: run) == namespace ? namespace : nil
    }

    package func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] {
        guard covers(filter.namespace) else { return [] }
        var filter = filter
        filter.namespace = namespace
        return try await base.runs(filter)
    }

    package func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] {
        var found: [Int64] = [], last = before
        while found.count < limit {
            let page = try await base.runNumbers(before: last, limit: max(limit, 1))
            guard let end = page.last else { break }
            for number in page where found.count < limit {
                if try await base.namespace(of: .number(number)) == namespace { found.append(number) }
            }
            last = end
        }
        return found
    }

    package func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] {
        covers(namespace) ? try await base.counts(namespace: self.namespace) : [:]
    }

    package func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] {
        covers(namespace) ? try await base.versions(namespace: self.namespace) : []
    }

    package func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest] {
        guard covers(query.namespace) else { return [] }
        var query = query
        query.namespace = namespace
        return try await base.openRequests(query)
    }

    package func ended(among waits: [RunWait]) async throws(StoreError) -> [RunWait] {
        var known: [RunWait] = [], unknown: Set<RunWait> = []
        for wait in waits {
            if try await base.namespace(of: .id(wait.run)) != namespace { unknown.insert(wait) } else { known.append(wait) }
        }
        let ended = unknown.union(try await base.ended(among: known))
        return waits.filter { ended.contains($0) }
    }

    // MARK: By number, of runs that have come through the gate

    package func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? {
        try await base.knownDelivery(id, of: run)
    }

    package func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await base.events(of: run, after: seq, limit: limit)
    }

    package func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await base.events(of: run, before: seq, limit: limit)
    }

    package func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] { try await base.lastSeqs(of: runs) }

    package func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] {
        try await base.marked(kind, subject, in: run)
    }

    package func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] {
        try await base.labels(of: runs)
    }

    package func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try await base.heartbeats(of: run, subject)
    }

    package func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try await base.inbox(run: run, after: number)
    }

    package func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] { try await base.inboxes(of: runs) }

    package func interventions(run: Int64) async throws(StoreError) -> [InboxRow] { try await base.interventions(run: run) }

    package func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] { try await base.awaitedKeys(of: run) }

    package func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? { try await base.queuePosition(of: run) }

    package func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        try await base.beginnings(of: runs, limit: limit)
    }

    // MARK: What namespaces have

    package func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? {
        covers(key.namespace) ? try await base.keyHolder(key) : nil
    }

    package func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        guard covers(queue.namespace) else { throw refusal("set a queue of namespace '\(queue.namespace)'") }
        try await base.setQueue(queue, limits, by: sender)
    }

    package func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] {
        covers(namespace) ? try await base.queues(namespace: self.namespace) : []
    }

    package func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow] {
        switch query {
        case .one(let key): return covers(key.namespace) ? try await base.schedules(query) : []
        case .listed(let other, let after, let limit):
            return covers(other) ? try await base.schedules(.listed(namespace: namespace, after: after, limit: limit)) : []
        case .due: throw refusal("keep schedules")
        }
    }

    package func namespaces() async throws(StoreError) -> [NamespaceRow] {
        try await base.namespaces().filter { $0.name == namespace }
    }

    package func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] {
        let counts = try await base.counts(namespace: namespace)
        return counts.isEmpty ? [:] : [namespace: counts]
    }

    package func quotas() async throws(StoreError) -> [QuotaStanding] {
        try await base.quotas().filter { $0.namespace == namespace }
    }

    // MARK: The store itself

    package var identity: String { base.identity }
    package func now() -> Timestamp { base.now() }
    package var leaseLength: Duration? { base.leaseLength }
    package var lookPause: Duration? { base.lookPause }
    package var transactions: (any TransactionalStore.Type)? { nil }

    /// Who hosts what is everybody's: an author has to know whether there is code for a run.
    package func nodes() async throws(StoreError) -> [NodeStanding] { try await base.nodes() }

    @discardableResult
    package func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch { base.onOutsideDelivery(handler) }

    package func close() async { await base.close() }
}

/// Why something may not be written by somebody who is confined.
package struct ConfinementRefusal: Error, Sendable {
    package let reason: String
    init(_ reason: String) { self.reason = reason }
}

// What belongs to engines and operators.
extension ConfinedStore {
    package func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool {
        throw refusal("change what is set for one")
    }
    package func control(_ key: ControlKey) async throws(StoreError) -> ControlRow? { throw refusal("see what control keeps") }
    package func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow] {
        throw refusal("see what control keeps")
    }
    package func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool {
        throw refusal("change what control keeps")
    }
    package func runMakers() async throws(StoreError) -> Set<String> { throw refusal("see who makes runs") }
    package func removeControls(kind: String, dueBy: Timestamp, limit: Int) async throws(StoreError) -> Int {
        throw refusal("change what control keeps")
    }
    package func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool { throw refusal("change quotas") }
    package func audit() async throws(StoreError) -> [String] { throw refusal("look at the whole store") }
    package func register(_ node: NodeRegistration) async throws(StoreError) { throw refusal("host runs") }
    package func unregister(_ node: NodeID) async throws(StoreError) { throw refusal("host runs") }
    package func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] { throw refusal("host runs") }
    package func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID] { throw refusal("host runs") }
    package func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        throw refusal("host runs")
    }
    package func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed { throw refusal("host runs") }
    package func admit() async throws(StoreError) -> Admission { throw refusal("host runs") }
    package func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] { throw refusal("host runs") }
    /// That the store waits for its operator is everybody's concern; by which run it was noticed, by whom, and how many there are is not.
    package func restoration() async throws(StoreError) -> Restoration? {
        try await base.restoration().map {
            Restoration(number: $0.number, noticedAt: $0.noticedAt, noticedBy: "", reason: "", liftedAt: $0.liftedAt)
        }
    }
    package func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration {
        throw refusal("recover the store")
    }
    package func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        throw refusal("recover the store")
    }
    package func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer { throw refusal("host runs") }
    package func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? { throw refusal("host runs") }
    package func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? {
        throw refusal("host runs")
    }
    package func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) {
        throw refusal("host runs")
    }
    package func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry { throw refusal("remove what has expired") }
    package func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> { throw refusal("archive") }
    package func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        throw refusal("host runs")
    }
}
