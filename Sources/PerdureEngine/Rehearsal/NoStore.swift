import Foundation
import Perdure
import PerdureHistory
import PerdureStore

/// Stands where a store has to be named and none is there: everything that is asked of it fails, and nothing is ever recorded. Code that
/// is rehearsed asks for nothing.
struct NoStore: Store {
    var identity: String { "" }
    var transactions: (any TransactionalStore.Type)? { nil }
    func now() -> Timestamp { Timestamp(Date()) }

    private func none() throws(StoreError) -> Never { throw .closed }

    var leaseLength: Duration? { nil }
    func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] { try none() }
    func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID] { try none() }
    func register(_ node: NodeRegistration) async throws(StoreError) { try none() }
    func unregister(_ node: NodeID) async throws(StoreError) { try none() }
    func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] { try none() }
    func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult { try none() }
    func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed { try none() }
    func admit() async throws(StoreError) -> Admission { try none() }
    func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by: Principal) async throws(StoreError) { try none() }
    func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] { try none() }
    func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? { try none() }
    func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] { try none() }
    func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer { try none() }
    func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? { try none() }
    func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? { try none() }
    func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? { try none() }
    func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] { try none() }
    func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) { try none() }
    func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry { try none() }
    func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> { try none() }
    func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool { try none() }
    func restoration() async throws(StoreError) -> Restoration? { try none() }
    func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration { try none() }
    func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration { try none() }
    func control(_ key: ControlKey) async throws(StoreError) -> ControlRow? { try none() }
    func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow] { try none() }
    func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool { try none() }
    func removeControls(kind: String, dueBy: Timestamp, limit: Int) async throws(StoreError) -> Int { try none() }
    func namespaces() async throws(StoreError) -> [NamespaceRow] { try none() }
    func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] { try none() }
    func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool { try none() }
    func quotas() async throws(StoreError) -> [QuotaStanding] { try none() }
    func run(_ id: RunID) async throws(StoreError) -> RunRecord? { try none() }
    func run(number: Int64) async throws(StoreError) -> RunRecord? { try none() }
    func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord? { try none() }
    func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord? { try none() }
    func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] { try none() }
    func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] { try none() }
    func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] { try none() }
    func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] { try none() }
    func nodes() async throws(StoreError) -> [NodeStanding] { try none() }
    func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] { try none() }
    func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] { try none() }
    func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] { try none() }
    func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] { try none() }
    func runMakers() async throws(StoreError) -> Set<String> { try none() }
    func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] { try none() }
    func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow] { try none() }
    func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] { try none() }
    func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage { try none() }
    func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage { try none() }
    func interventions(run: Int64) async throws(StoreError) -> [InboxRow] { try none() }
    func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? { try none() }
    func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest] { try none() }
    func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch { OutsideWatch {} }
    func audit() async throws(StoreError) -> [String] { try none() }
    func close() async {}
}
