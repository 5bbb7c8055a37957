internal import Dispatch
internal import Perdure
internal import PerdureStore

/// What a test or an embedding layer may set about connections.
struct ConnectionOptions: Sendable {
    /// For how long nothing may come or be sent while an answer is waited for. Then the link is given up, with a commit's outcome unknown.
    var answerLimit: Duration = .seconds(30)
    /// Whether address and user are known to be right, which every connection knows of itself once it has done something. A server that
    /// refuses them after that is taken for one that heals: a replica that the address names for a while, or rights and passwords in the
    /// middle of a change.
    var isProven = false
}

/// A queue of its own with a link to the server, which is opened when it is needed, and again after it was lost. Work is never cancelled: a
/// commit that was begun ends by itself.
///
/// `@unchecked` because everything that changes is only touched on the queue, which is serial.
final class Connection: @unchecked Sendable {
    private let address: ServerAddress
    private var options: ConnectionOptions
    private let onOpen: @Sendable (Session) throws -> Void
    private let queue: DispatchQueue
    private var session: Session?
    private var isClosed = false
    /// The last vain attempt to open a link.
    private var refusal: (error: StoreError, at: ContinuousClock.Instant)?

    /// Or a server that waits for a lock would not notice for as long that we have given the link up. Some cannot do it.
    static func watch(_ session: Session) {
        try? session.run("SET client_connection_check_interval = '5s'", changesNothing: true)
    }

    /// - Parameter onOpen: called with every link before anything else is done on it; if it throws, so does whoever needed the link.
    init(
        _ address: ServerAddress, label: String = "perdure.postgres", options: ConnectionOptions = ConnectionOptions(),
        onOpen: @escaping @Sendable (Session) throws -> Void = { _ in }
    ) {
        self.address = address
        self.options = options
        self.onOpen = onOpen
        queue = DispatchQueue(label: label)
    }

    func perform<Result: Sendable>(_ work: @escaping @Sendable (Session) throws -> Result) async throws(StoreError) -> Result {
        let asked = ContinuousClock.now
        let result = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: self.attempt(work, asked)) }
        }
        return try result.get()
    }

    /// The same on the calling thread, which is held up meanwhile.
    func performHere<Result>(_ work: (Session) throws -> Result) throws(StoreError) -> Result {
        let asked = ContinuousClock.now
        return try queue.sync { attempt(work, asked) }.get()
    }

    /// Ends the connection after everything that waits for it.
    func close() async {
        await withCheckedContinuation { continuation in
            queue.async {
                self.isClosed = true
                self.session = nil
                continuation.resume()
            }
        }
    }

    private func attempt<Result>(
        _ work: (Session) throws -> Result, _ asked: ContinuousClock.Instant
    ) -> Swift.Result<Result, StoreError> {
        if isClosed { return .failure(.closed) }
        do {
            let session = try openSession(asked)
            defer { tidy(session) }
            let result = try work(session)
            options.isProven = true
            return .success(result)
        } catch let error as StoreError {
            return .failure(error)
        } catch {
            return .failure(failure(error))
        }
    }

    private func failure(_ error: any Error) -> StoreError {
        switch StoreError(error) {
        case .unusable(.storeReadOnly, let message) where options.isProven: .unavailable(message)
        case .unusable(.storeRefused, let message) where options.isProven: .unavailable(message)
        case .unusable(.storeMissing, let message) where options.isProven: .unavailable(message)
        case .unusable(.storeNotOurs, let message) where options.isProven: .unavailable(message)
        case let failure: failure
        }
    }

    private func openSession(_ asked: ContinuousClock.Instant) throws -> Session {
        if let session {
            if session.link.isAlive() { return session }
            self.session = nil
        }
        // Whoever waited while a link was tried in vain would only wait for as long again, one after the other.
        if let refusal, asked < refusal.at { throw refusal.error }
        do {
            let session = Session(try Link.open(address), answerLimit: options.answerLimit)
            Self.watch(session)
            try onOpen(session)
            tidy(session)
            refusal = nil
            return session
        } catch {
            let failure = failure(error)
            refusal = (failure, .now)
            throw failure
        }
    }

    /// Leaves nothing behind for the next work: no transaction, no link that cannot be used.
    private func tidy(_ session: Session) {
        session.rollBack()
        self.session = session.link.isLost ? nil : session
    }
}
