import Perdure
package import PerdureHistory
package import PerdureStore
internal import Synchronization

/// Histories in one PostgreSQL database, which any number of nodes share.
///
/// One connection writes; commits, claims and deliveries take turns on it. `reader` serves the engine (events, inboxes), `browser` people
/// and audits, so that a long list does not hold up a replay.
package final class PostgresStore: Store {
    package let identity: String
    let options: PostgresOptions
    let isEngine: Bool
    let address: ServerAddress
    let writer: Connection
    /// For what says that this node lives: it does not wait behind commits.
    let leases: Connection
    let reader: Connection
    let browser: Connection
    /// For admission and limits of queues, which may hold the row of a queue; opened when there is one.
    let queueLink: Connection
    /// Whether a queue is known to be there. None is ever removed.
    let hasQueues = Atomic(false)
    /// Whether a quota of a namespace was there at the last commit.
    let hasQuotas = QuotaNotice()
    /// For the work of steps.
    let transactors: Transactors
    let bell: Bell
    let serverClock: ServerClock
    /// The node of this process, and what it has seen of others.
    let membership = Mutex(Membership())
    /// What the last claim gave, until its answer is known to have been heard.
    let unanswered = Mutex(Claimed())
    let arrivals = Arrivals()
    let retentionIndexes = RetentionIndexes()
    /// What this process was told is durable.
    let watch: LossWatch
    var recollection: Recollection { watch.recollection }

    init(
        identity: String, address: ServerAddress, options: PostgresOptions, isEngine: Bool, writer: Connection,
        leases: Connection,
        transactors: Transactors, reader: Connection,
        browser: Connection, queueLink: Connection, bell: Bell, clock: ServerClock, watch: LossWatch
    ) {
        self.identity = identity
        self.address = address
        self.options = options
        self.isEngine = isEngine
        self.writer = writer
        self.transactors = transactors
        self.leases = leases
        self.reader = reader
        self.browser = browser
        self.queueLink = queueLink
        self.bell = bell
        serverClock = clock
        self.watch = watch
    }

    package func now() -> Timestamp { options.clock?() ?? serverClock.now() }

    var node: NodeID? { membership.withLock { $0.node } }

    func requireEngine(_ wish: String) throws(StoreError) {
        guard isEngine else { throw .unusable(.usage, "A client of \(address) cannot \(wish); open it as an engine.") }
    }

    /// Work in one transaction, on the connection that writes if no other is given.
    func write<Result: Sendable>(
        on connection: Connection? = nil, _ body: @escaping @Sendable (Session) throws -> Result
    ) async throws(StoreError) -> Result {
        try await (connection ?? writer).perform { session in
            try session.untilNotOvertaken { try session.transaction { try body(session) } }
        }
    }

    /// Has those hear of what was committed who have something to do for it.
    func tell(_ news: StoreNews) {
        bell.ring(news)
        guard news.isForQueues else { return }
        hasQueues.store(true, ordering: .relaxed)
        // Whoever hosts runs admits himself what his commit has made room for. Should he not come to it, others find it within a second.
        if isEngine { bell.ringHere() } else { bell.ring(Channel.all) }
    }

    /// After a change that may have made a place free, whatever run it was of.
    func tellOfPlaces() {
        guard hasQueues.load(ordering: .relaxed) else { return }
        var news = StoreNews()
        news.ringQueues()
        tell(news)
    }

    /// Work on a connection that reads, in one statement or one short transaction.
    func read<Result: Sendable>(
        on connection: Connection, _ body: @escaping @Sendable (Session) throws -> Result
    ) async throws(StoreError) -> Result {
        try await connection.perform(body)
    }

    @discardableResult
    package func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch {
        let watch = bell.onNotification(handler)
        // Not before somebody wants to hear: who only looks at something needs no link for it.
        bell.listen(to: Channel.all)
        return watch
    }

    package func close() async {
        await bell.end()
        await transactors.close()
        await leases.close()
        await reader.close()
        await browser.close()
        await queueLink.close()
        await writer.close()
    }
}
