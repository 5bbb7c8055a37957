import Dispatch
package import Perdure
package import PerdureHistory
import Synchronization

/// What the engine asks of a place that keeps histories. One conformance suite checks all that implement it.
///
/// The rules that every implementation keeps:
/// - What a call returned is durable. What threw `StoreError.outcomeUnknown` may or may not be: the caller repeats the very same
///   call and gets the result of the first one.
/// - A commit applies to each run entirely or not at all; runs that share a transaction do not share their fate.
/// - Only the owner of a run, under its current epoch and on top of its current last event, can advance it.
/// - Every run is in exactly one state (`RunState`), and a run that is neither final nor owned has a cause that will wake it or is
///   waiting for a person.
package protocol Store: Sendable {
    /// The store's own name, made with it: tells two stores apart in exports and messages.
    var identity: String { get }
    /// The clock that stamps events and deliveries, and by which runs are due. Engines take it for theirs. Where the store is elsewhere it
    /// may be an estimate.
    func now() -> Timestamp

    /// Registers this process as a node. Nodes that are known to be dead at that moment lose their runs. Where nodes have leases, the
    /// first one begins now.
    func register(_ node: NodeRegistration) async throws(StoreError)
    /// Says that the node ends by itself. Its runs must have been released before.
    func unregister(_ node: NodeID) async throws(StoreError)
    /// How long a node counts as alive without `renew`, where several nodes share the store. `nil` if something else proves who lives,
    /// such as a lock: then nodes need not renew.
    var leaseLength: Duration? { get }
    /// Keeps the caller's node alive for another lease, and ends other nodes: those whose lease is over on the store's clock and which this
    /// process has not seen renew for the whole length of it on its own clock, in calls that are no more than half a lease apart. What ends
    /// a node is a compare-and-set, so that one that renews in between lives, and one that renews later is told. To be called at least
    /// three times in each lease.
    ///
    /// - Returns: The nodes that it has ended. Their runs can be claimed now.
    /// - Throws: `StoreError.leaseLost` if the node itself has been ended, or replaced. Its runs are for others from then on: nothing
    ///   it commits is taken any more, and its id is never used again.
    @discardableResult
    func renew(_ node: NodeID) async throws(StoreError) -> [NodeID]

    /// How often other nodes are to be looked at between renewals (`endLapsed`), where that costs little; nil if `renew` is often enough.
    var lookPause: Duration? { get }
    /// Looks at other nodes as `renew` does, without renewing: to be called more often, so that the runs of a dead node go on soon after
    /// its lease is over.
    ///
    /// - Returns: The nodes that it has ended.
    func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID]

    /// Applies the items in their order, durably, and answers each. The answers stand in the order of the items.
    func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult]
    /// The same on the calling thread, which is held up until the answer is there: for threads that exist to wait for the disk.
    func commitHere(_ items: [CommitItem]) throws(StoreError) -> [CommitResult]

    /// The kind of store that work can be done in the transactions of, if there is one.
    var transactions: (any TransactionalStore.Type)? { get }

    /// Does an author's work and the advance that records it in one transaction, which nothing else is part of: the work first, then the
    /// gate and the events. What is refused, stopped or throws leaves nothing. After `outcomeUnknown` the caller asks again with the
    /// advance as `earlier`.
    func transact(_ transaction: StoreTransaction) async throws(StoreError) -> TransactionResult

    /// Takes ownership of runs that have something to do: ready ones, due ones, ones with unread inbox rows, ones whose owner died,
    /// blocked ones that have not met this build, terminated ones with an unread `resolve`. Queued ones only at their deadline, for which
    /// `ahead` does not count, or for a `cancel` or a message that needs no code. Raises each run's epoch; for a dead owner's
    /// run, but for a terminated one, `run.resumed` is appended in the same transaction. Oldest cause first. Messages that wake nobody
    /// (`Wake.nobody`) cost a claim nothing, however many there are. A run whose row or last event cannot be read is quarantined, and said
    /// so once.
    func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed

    /// Gives places to runs that wait for them in their queues, as far as the limits allow: they are `ready` then. Keys take turns; of a
    /// key the highest priority goes first, then the oldest. A run that has an unread message by which it is woken is passed over. At most
    /// `QueueTurns.atOnce` are admitted in one transaction, several of those in one call. What is admitted is nobody's yet: a caller that
    /// gets no answer just calls again. Nodes call it beside their claims, and again when `Admission.next` has come; costs next to nothing
    /// where there are no queues.
    ///
    /// - Throws: what claiming throws in a client, since only who hosts runs has to admit.
    func admit() async throws(StoreError) -> Admission
    /// Makes the queue, or changes its limits. Lowering them ends nobody: fewer are admitted. Repeated, it changes nothing.
    ///
    /// - Throws: `StoreError.unusable` with `queue_needs_upgrade` as long as a living node is of a release that knows no queues. The first
    ///   queue of a store closes it to such releases for good.
    func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by: Principal) async throws(StoreError)
    /// The queues of a namespace, or all, by their names.
    func queues(namespace: String?) async throws(StoreError) -> [QueueStanding]
    /// Where an open run stands in its queue; `nil` if it has none, or has ended.
    func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition?

    /// The circuits of a namespace that are open, by the bytes of their names. To be called only where nodes have leases, as `setCircuit`.
    func circuits(namespace: String) async throws(StoreError) -> [CircuitRow]
    /// Opens, changes or closes a circuit on top of what the caller has seen, or does nothing. Repeated, it answers the same. Other
    /// processes hear of it by `onOutsideDelivery`.
    func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer

    /// The earliest time at which an unowned run of these workflows becomes due, if any; it may be past. Others are left out, since
    /// a due run that nobody here can claim would have the caller ask again for ever.
    func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp?

    /// Who holds a business key, or held it last; `nil` if it was never taken.
    func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord?
    /// Asks to be told by an inbox row when the key's holder settles. Answers with the record, and asks for nothing, if there is
    /// nobody to wait for: it happened already, or the key is free.
    func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord?
    /// The keys that a run waits for, by the subjects of its steps, with who holds them.
    func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait]

    /// Marks a run whose history is broken. It is not an event: nothing is appended to a chain that does not hold.
    ///
    /// - Parameter epoch: If given, only a run that is open and that nobody has owned since this epoch is marked.
    func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError)

    /// Removes histories and tombstones that are past their time: a bounded part of them, the oldest first. A run that expires keeps its
    /// row, with a tombstone, and of its events `run.expired`, which continues its chain; with the other events go its blobs and its inbox,
    /// if need be over several calls. A run that is open, owned or quarantined, has a step in doubt, an open child or an unread message
    /// does not expire; neither does one that cannot be read, which keeps no other from it. Only a removed tombstone sets the workflow key
    /// free.
    ///
    /// What is set for a namespace when the call begins holds for its runs, in place of the times that the caller gives. What must be
    /// archived first does not expire before `noteArchived` has said so of its last event; `run.expired` names the archive's digest then.
    func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry

    /// Notes that histories are in an archive. Of a run that is open, has expired, or has another last event by now nothing is noted.
    ///
    /// - Returns: The numbers of the runs of which it was noted, now or before.
    func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64>

    /// Changes what is set for a namespace, or does nothing. Once this has returned, nothing is removed by what was set before.
    ///
    /// - Returns: Whether it stands there now. Otherwise somebody else was faster.
    func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool
    /// What is set for namespaces, by their names. A row that cannot be read is left out, and nothing of its namespace expires.
    func namespaces() async throws(StoreError) -> [NamespaceRow]
    /// How many runs of each namespace there are in each state.
    func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]]

    /// A row of what control keeps beside runs.
    func control(_ key: ControlKey) async throws(StoreError) -> ControlRow?
    /// Rows of one kind.
    func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow]
    /// Changes a row of what control keeps, or does nothing. Repeated, it changes nothing.
    ///
    /// - Returns: Whether it stands there now. Otherwise somebody else was faster.
    func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool
    /// Removes rows of one kind that are due by a time, the earliest first.
    ///
    /// - Returns: How many.
    func removeControls(kind: String, dueBy: Timestamp, limit: Int) async throws(StoreError) -> Int

    /// Changes the quotas of a namespace, or does nothing. Once this has returned, every start on every node of this release is held to
    /// them. What is taken already is counted; whoever commits meanwhile is counted as well. Repeated, it changes nothing. What a call
    /// leaves that is broken off before the quotas hold is not seen, and is taken away when the namespace is said to have none.
    ///
    /// - Returns: Whether they stand there now. Otherwise somebody else was faster.
    func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool
    /// The quotas of namespaces that have any, by their names, with what is taken of them. A row that cannot be read is left out, and
    /// nobody starts anything in its namespace.
    func quotas() async throws(StoreError) -> [QuotaStanding]

    /// The last time that the store's history went back, as far as somebody has noticed or said so; nil if it never did. While it stands no
    /// run is claimed, runs that are made begin without an owner, and schedules start none.
    func restoration() async throws(StoreError) -> Restoration?
    /// Writes down that history went back. Where that stands already, all runs are to be marked once more. Every commit that makes runs is
    /// over then, or finds it. Where nodes have leases each of them is ended: what it knows may be ahead of the store, and it learns so by
    /// its lease.
    ///
    /// - Parameter number: If given, the caller works off what it has seen. If a later restoration than this was lifted already, nothing is
    ///   written, and that one is the answer; and where one stands, nodes that were let in since are not ended.
    /// - Throws: `StoreError.unusable` with `store_locked` where an engine has the store for itself, and is not the caller.
    func beginRestoration(by: String, reason: String, after number: Int64?) async throws(StoreError) -> Restoration
    /// Appends `run.restored` to the next open runs, in the order of their numbers and whoever owns them, raises their epochs, and ends
    /// their open approvals. Those that are made meanwhile come last. Lifts the hold in the transaction that finds no more. One that is
    /// lifted already is answered as it is. A run whose last event cannot be read is quarantined.
    ///
    /// - Parameter limit: how many runs at most, of which no more than `Restoration.mostAtOnce` count.
    func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration

    func run(_ id: RunID) async throws(StoreError) -> RunRecord?
    func run(number: Int64) async throws(StoreError) -> RunRecord?
    func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord?
    /// The last run of the chain that this one began; nil if it was never continued.
    func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord?
    /// The namespace of a run, told from nothing else of its row: a run that cannot be read belongs to somebody all the same. nil if there
    /// is none, or if not even that can be read.
    func namespace(of run: RunSearch) async throws(StoreError) -> String?
    /// Runs that match, newest first.
    func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord]
    /// The numbers of all runs, newest first, also of those whose rows cannot be read.
    func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64]
    /// Transactions under way that may yet bring runs, by names that are never used again: of the runs that they bring some may have
    /// smaller numbers than runs that are to be seen already. Once all of those are over that there were when somebody asked, every run
    /// is to be seen up to the newest one that he saw before. Empty where one writes at a time.
    func runMakers() async throws(StoreError) -> Set<String>
    func counts(namespace: String?) async throws(StoreError) -> [RunState: Int]
    /// The runs of each version of each workflow, closed ones included, by name and then by version as text. Looks at every run.
    func versions(namespace: String?) async throws(StoreError) -> [VersionCounts]
    /// The nodes that have not ended, in the order in which they registered, as far as this process can tell: one that has just died may
    /// still be among them. For people; no ownership rests on it.
    func nodes() async throws(StoreError) -> [NodeStanding]

    /// Events of a run in order, after the given seq: at most `limit`, and fewer where their values are large, so that a page has a
    /// bounded size. Only an empty page says that there are no more.
    func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event]
    /// The same backwards: events before the given seq, the newest first.
    func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event]
    /// How far the histories of these runs go, by their numbers: the seq of the last event of each. One without any event, or that is not
    /// there, is left out. One question for many runs, since whoever watches them asks it again and again.
    func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64]
    /// The latest event of each subject of a kind that is marked (`EventKind.isMarked`), or of one subject, in their order in the history;
    /// of a kind that is marked once (`EventKind.isMarkedOnce`) the latest of all, which has no subject here.
    func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event]
    /// The labels of these runs by their numbers; a run without any is left out.
    func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]]
    /// The latest signs of life of the run's steps and undos that are not settled, or of those with one subject, in the order of their
    /// subjects.
    func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord]
    /// Unread inbox rows in the order of their numbers, a page of them: those of one run behind a number, the first of several runs (of the
    /// first run, and of others as far as there is room in an answer of bounded size), or those of every run that the node owns.
    func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage
    func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage]
    func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage
    /// Of a run's unread rows those that may concern it without its code (`InboxKind.needsNoCode`), and `retry`. The first
    /// page of them.
    func interventions(run: Int64) async throws(StoreError) -> [InboxRow]
    /// Those of the waits that are over, in their order: the run has ended, will never be executed again, is not there, or cannot be read;
    /// or it has answered the update. One question for all of them, since an engine asks it again and again where other nodes end runs.
    func ended(among waits: [RunWait]) async throws(StoreError) -> [RunWait]
    /// The message of this delivery id that the run has taken in, if there is one, read or unread.
    func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery?
    /// Approvals and questions that are open, oldest first.
    func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest]

    /// Schedules in the order of the query. A row that cannot be read is left out, so that it holds up no other.
    func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow]

    /// What bringing runs into memory begins with, of many runs at once: their first events, at most so many of each, their unread
    /// messages and their patches, as one by one they would be read. A run that cannot be read, or for which there is no room in an
    /// answer of bounded size, is left out.
    func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning]

    /// Calls the handler, on any thread, soon after another process delivered something, and after a commit of this one that gives cause to
    /// `admit`, until the watch is ended. Spurious calls are allowed.
    @discardableResult
    func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch

    /// Every violation of the run-state invariant and of the tables' agreement with each other, as sentences; empty is good.
    func audit() async throws(StoreError) -> [String]

    /// Ends the use of the store. Nothing else may be called afterwards.
    func close() async
}

extension Store {
    package func beginRestoration(by: String, reason: String) async throws(StoreError) -> Restoration {
        try await beginRestoration(by: by, reason: reason, after: nil)
    }
}

extension Store {
    package var lookPause: Duration? { nil }

    /// Marks a run whose history is broken, in whatever state it is.
    package func quarantine(_ run: Int64, reason: String) async throws(StoreError) {
        try await quarantine(run, reason: reason, ifUnownedSince: nil)
    }

    /// Those of the nodes that live, with what they host. One whose lease is over is not known to.
    package func livingNodes() async throws(StoreError) -> [NodeRegistration] {
        try await nodes().filter { !$0.isOverdue }.map(\.registration)
    }

    /// All unread rows of a run, however many there are.
    package func inbox(run: Int64) async throws(StoreError) -> [InboxRow] {
        var rows: [InboxRow] = []
        while true {
            let page = try await inbox(run: run, after: rows.last?.number ?? 0)
            rows += page.rows
            if !page.hasMore { return rows }
        }
    }

    /// For stores whose rows can always be read.
    package func namespace(of run: RunSearch) async throws(StoreError) -> String? {
        switch run {
        case .id(let id): try await self.run(id)?.namespace
        case .number(let number): try await self.run(number: number)?.namespace
        case .endOfChain(let first): try await lastOfChain(begunBy: first)?.namespace
        }
    }

    /// For stores that have nothing to gain from reading them together.
    package func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] {
        var inboxes: [Int64: InboxPage] = [:]
        for run in runs { inboxes[run] = try await inbox(run: run, after: 0) }
        return inboxes
    }

    /// For stores where one writes at a time.
    package func runMakers() async throws(StoreError) -> Set<String> { [] }

    /// For stores that have nothing to gain from asking together.
    package func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] {
        var seqs: [Int64: Int64] = [:]
        for run in runs { seqs[run] = try await events(of: run, before: .max, limit: 1).first?.seq }
        return seqs
    }

    /// For stores that have nothing to gain from it: everything is read one by one.
    package func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] { [:] }

    package func commitHere(_ items: [CommitItem]) throws(StoreError) -> [CommitResult] { try commitAwaited(items) }

    /// `commitHere` for stores that can only be awaited.
    package func commitAwaited(_ items: [CommitItem]) throws(StoreError) -> [CommitResult] {
        let answer = BlockingAnswer<[CommitResult]>()
        Task.detached {
            do throws(StoreError) {
                answer.give(.success(try await commit(items)))
            } catch {
                answer.give(.failure(error))
            }
        }
        return try answer.wait().get()
    }
}

/// A handler that a store calls. Whoever forgets it is called as long as the store is open.
package struct OutsideWatch: Sendable {
    private let stop: @Sendable () -> Void

    package init(end stop: @escaping @Sendable () -> Void) { self.stop = stop }

    /// The handler is not called any more, but for a call that has begun.
    package func end() { stop() }
}

/// Hands a result from a task to a thread that is blocked until it is there.
private final class BlockingAnswer<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, StoreError>?>(nil)
    private let isThere = DispatchSemaphore(value: 0)

    func give(_ value: Result<Value, StoreError>) {
        result.withLock { $0 = value }
        isThere.signal()
    }

    func wait() -> Result<Value, StoreError> {
        isThere.wait()
        return result.withLock { $0 } ?? .failure(.closed)
    }
}
