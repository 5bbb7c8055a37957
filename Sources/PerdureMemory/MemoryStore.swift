package import Perdure
package import PerdureHistory
package import PerdureStore

/// A process's connection to a `MemoryDatabase`. Every call is done, with all that it changes, when it returns; none suspends.
package final class MemoryStore: Store {
    private let database: MemoryDatabase
    private let process: Int
    /// The process's own clock.
    private let clock: @Sendable () -> Timestamp

    init(_ database: MemoryDatabase, process: Int, clock: @escaping @Sendable () -> Timestamp) {
        self.database = database
        self.process = process
        self.clock = clock
    }

    deinit { database.close(process) }

    package var identity: String { database.identity }
    package func now() -> Timestamp { database.clock() }

    /// As the end of the process would: its node is not taken leave of, and what it owns stays owned.
    package func close() async { database.close(process) }

    @discardableResult
    package func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch { database.watch(process, handler) }

    private func call<Result: Sendable>(
        _ body: (inout MemoryState, inout MemoryProcess) throws(StoreError) -> Result
    ) throws(StoreError) -> Result { try database.call(process, body) }

    private func read<Result: Sendable>(
        _ body: (MemoryState) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        try call { state, _ throws(StoreError) in try body(state) }
    }

    // MARK: Changing

    package func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] { try commitHere(items) }

    package func commitHere(_ items: [CommitItem]) throws(StoreError) -> [CommitResult] {
        let now = now()
        return try call { state, process in
            state.commit(items, by: process.node.flatMap { state.isLiving($0) ? $0 : nil }, now: now)
        }
    }

    /// None: there is nothing beside the histories that an author could write to in the same transaction.
    package var transactions: (any TransactionalStore.Type)? { nil }

    package func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult {
        throw .unusable(.usage, "A store in memory has no transactions for the work of steps.")
    }

    package func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? {
        try call { state, _ throws(StoreError) in try state.awaitKey(key, run: run, subject: subject) }
    }

    package func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) {
        let now = now()
        try call { state, _ in
            guard let index = state.index(of: run) else { return }
            let record = state.runs[index].record
            if let epoch, record.owner != nil || record.epoch != epoch || record.closedAt != nil { return }
            state.quarantine(index, reason: reason, now: now)
        }
    }

    package func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry {
        let now = now()
        return try call { state, process throws(StoreError) in
            try process.requireEngine("remove what has expired")
            do throws(any Error) {
                return try ExpiryWalk.run(request, now: now, on: &state)
            } catch {
                throw .corrupt(String(describing: error))
            }
        }
    }

    package func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> {
        try call { state, process throws(StoreError) in
            try process.requireEngine("note what is archived")
            return state.noteArchived(histories)
        }
    }

    package func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool {
        if let flaw = change.flaw { throw .unusable(.nameInvalid, "This cannot be set: \(flaw).") }
        return try call { state, _ in
            guard let isOpen = change.isOpen(on: state.namespaces[change.name]) else { return true }
            if isOpen { state.namespaces[change.name] = change.row }
            return isOpen
        }
    }

    package func control(_ key: ControlKey) async throws(StoreError) -> ControlRow? { try read { $0.control[key] } }

    package func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow] { try read { $0.controls(query) } }

    package func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool {
        if let flaw = change.flaw { throw .unusable(.usage, "This cannot be kept: \(flaw).") }
        return try call { state, _ in
            guard let isOpen = change.isOpen(on: state.control[change.key]) else { return true }
            if isOpen { state.control[change.key] = change.row }
            return isOpen
        }
    }

    package func removeControls(kind: String, dueBy time: Timestamp, limit: Int) async throws(StoreError) -> Int {
        try call { state, _ in
            let due = state.controls(.due(kind: kind, by: time, limit: limit))
            for row in due { state.control[row.key] = nil }
            return due.count
        }
    }

    package func namespaces() async throws(StoreError) -> [NamespaceRow] {
        try read { $0.namespaces.values.sorted { ByteText($0.name) < ByteText($1.name) } }
    }

    package func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] { try read { $0.namespaceCounts() } }

    package func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool {
        if let flaw = change.flaw { throw .unusable(.nameInvalid, "This cannot be set: \(flaw).") }
        let now = now()
        return try call { state, _ in state.setQuotas(change, now: now) }
    }

    package func quotas() async throws(StoreError) -> [QuotaStanding] { try read { $0.quotaStandings() } }

    package func restoration() async throws(StoreError) -> Restoration? { try read { $0.restorations.last } }

    package func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration {
        let now = now(), endsNodes = database.ownership != .exclusive, hasEngine = !endsNodes && database.hasEngine
        return try call { state, process throws(StoreError) in
            if hasEngine, process.role != .engine {
                throw .unusable(.storeLocked, "An engine has the store in memory open. Close it first.")
            }
            return state.beginRestoration(by: by, reason: reason, after: number, endsNodes: endsNodes, now: now)
        }
    }

    package func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        let now = now()
        return try call { state, _ throws(StoreError) in
            try state.markRestored(number, limit: limit, by: by, now: now)
        }
    }

    // MARK: Queues

    package func admit() async throws(StoreError) -> Admission {
        let now = now()
        return try call { state, process throws(StoreError) in
            try process.requireEngine("admit runs")
            return state.admit(now: now)
        }
    }

    package func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        if let flaw = queue.flaw { throw .unusable(.nameInvalid, flaw) }
        let now = now()
        try call { state, _ in state.setQueue(queue, limits, by: sender, now: now) }
    }

    package func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] {
        try read { $0.standings(ofQueuesIn: namespace) }
    }

    package func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? {
        try read { $0.queuePosition(of: run) }
    }

    // MARK: Circuits

    package func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] {
        try read { state in state.circuits.values.filter { $0.key.namespace == namespace }.sorted { $0.key < $1.key } }
    }

    package func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer {
        if let flaw = change.flaw { throw .unusable(.nameInvalid, "This cannot be a circuit: \(flaw).") }
        return try call { state, process throws(StoreError) in
            try process.requireEngine("change circuits")
            let key = MemoryState.CircuitName(change.key), current = state.circuits[key]
            guard let isOpen = change.isOpen(on: current) else { return .made }
            guard isOpen else { return .refused(current) }
            state.circuits[key] = change.row
            state.hasNews = true
            return .made
        }
    }

    // MARK: Nodes

    package var leaseLength: Duration? {
        if case .leases(let length) = database.ownership { length } else { nil }
    }

    package func register(_ node: NodeRegistration) async throws(StoreError) {
        let now = now(), here = clock(), length = leaseLength
        try call { state, process throws(StoreError) in
            try process.requireEngine("host runs")
            if let length {
                // Its runs may be taken over, and nobody knows of it any more.
                if process.node == node.id, !state.isLiving(node.id) { throw .leaseLost }
                try state.register(node, lease: length, now: now)
                // A process has one node: the one before it has ended with this.
                if let former = process.node, former != node.id { state.unregister(former, now: now) }
                // From here on it looks at the others.
                process.sightings = Sightings()
                _ = state.endLapsed(besides: node.id, length: length, seen: &process.sightings, now: now, here: here)
            } else {
                state.register(alone: node, now: now)
            }
            process.node = node.id
        }
    }

    package func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] {
        let now = now(), here = clock(), length = leaseLength
        return try call { state, process throws(StoreError) in
            guard process.node == node, state.isLiving(node) else { throw .leaseLost }
            try state.renew(node, now: now)
            guard let length else { return [] }
            return state.endLapsed(besides: node, length: length, seen: &process.sightings, now: now, here: here)
        }
    }

    package func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID] {
        let now = now(), here = clock(), length = leaseLength
        return try call { state, process throws(StoreError) in
            guard process.node == node, state.isLiving(node) else { throw .leaseLost }
            guard let length else { return [] }
            return state.endLapsed(besides: node, length: length, seen: &process.sightings, now: now, here: here)
        }
    }

    package func unregister(_ node: NodeID) async throws(StoreError) {
        let now = now()
        try call { state, process throws(StoreError) in
            try process.requireEngine("host runs")
            state.unregister(node, now: now)
            if process.node == node { process.node = nil }
        }
    }

    package func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed {
        let now = now()
        return try call { state, process throws(StoreError) in
            try process.requireEngine("claim runs")
            guard request.node == process.node else {
                throw .unusable(.usage, "The node \(request.node) is not registered, so it cannot claim runs.")
            }
            guard state.isLiving(request.node) else { throw .leaseLost }
            return request.limit > 0 ? state.claim(request, now: now) : Claimed()
        }
    }

    package func nodes() async throws(StoreError) -> [NodeStanding] {
        // Where one engine at a time has the database, a closed one has no living node, whatever is registered.
        let isDead = database.ownership == .exclusive && !database.hasEngine, now = now()
        return try read { state in isDead ? [] : state.standings(now: now) }
    }

    // MARK: Reading

    package func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? {
        try read { $0.nextWake(hosted: hosted) }
    }

    package func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? {
        try read { state in state.businessKey(key).map { state.businessKeys[$0].record } }
    }

    package func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] {
        try read { $0.awaitedKeys(of: run) }
    }

    package func run(_ id: RunID) async throws(StoreError) -> RunRecord? { try read { $0.record($0.index(of: id)) } }

    package func run(number: Int64) async throws(StoreError) -> RunRecord? { try read { $0.record($0.index(of: number)) } }

    package func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord? {
        try read { $0.run(namespace: namespace, workflow: workflow, key: key) }
    }

    package func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord? {
        try read { $0.record($0.lastOfChain(begunBy: first)) }
    }

    package func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] { try read { $0.runs(filter) } }

    package func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] {
        try read { $0.runNumbers(before: before, limit: limit) }
    }

    package func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] {
        try read { $0.counts(namespace: namespace) }
    }

    package func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] {
        try read { $0.versions(namespace: namespace) }
    }

    package func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try read { $0.events(of: run, after: seq, limit: limit) }
    }

    package func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try read { $0.events(of: run, before: seq, limit: limit) }
    }

    package func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] {
        try read { $0.marked(kind, subject, in: run) }
    }

    package func ended(among waits: [RunWait]) async throws(StoreError) -> [RunWait] {
        try read { state in waits.filter { state.isEnded($0) } }
    }

    package func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] {
        try read { $0.labels(of: runs) }
    }

    package func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try read { $0.heartbeats(of: run, subject) }
    }

    package func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow] { try read { $0.schedules(query) } }

    package func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? {
        try read { $0.knownDelivery(id, of: run) }
    }

    package func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try read { $0.inbox(of: run, after: number) }
    }

    package func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] { try read { $0.inboxes(of: runs) } }

    package func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        try read { $0.inbox(ownedBy: node, after: number, limit: limit) }
    }

    package func interventions(run: Int64) async throws(StoreError) -> [InboxRow] { try read { $0.interventions(of: run) } }

    package func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest] {
        try read { $0.openRequests(query) }
    }

    package func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        try read { $0.beginnings(of: runs, limit: limit) }
    }

    package func audit() async throws(StoreError) -> [String] {
        let isExclusive = database.ownership == .exclusive
        return try read { $0.audit(isExclusive: isExclusive) }
    }
}
