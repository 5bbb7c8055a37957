import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// What the body of one attempt says of itself while it runs: that it lives, and what the next attempt can go on from.
///
/// Of what is said only the latest counts. It goes to the journal at once, then at most once in a second, and nobody waits for it:
/// outcomes go the same way, behind what was said before them.
final class AttemptHost: StepHost {
    private struct State {
        var lastSign: Timestamp
        /// What was said and is not on its way to the store.
        var unwritten: Heartbeat?
        /// A heartbeat is on its way, or the last one was written less than a second ago.
        var isResting = false
        var isStopped = false
        var isSilent = false
        var hasEnded = false
        /// What the attempts before have left.
        var earlier: [UInt8]?
    }

    private static let rest = Duration.seconds(1)

    private let services: ActivationServices
    private let run: Int64
    private let epoch: Int64
    private let attempt: Attempt
    private let state: Mutex<State>

    init(_ attempt: Attempt, run: Int64, epoch: Int64, services: ActivationServices) {
        self.services = services
        self.run = run
        self.epoch = epoch
        self.attempt = attempt
        state = Mutex(State(lastSign: services.clock.now()))
    }

    private var isProbe: Bool { attempt.body == .stepProbe || attempt.body == .undoProbe }
    private var isUndo: Bool { attempt.body == .undo || attempt.body == .undoProbe }

    // MARK: For the body

    func heartbeat(_ details: (any Codable & Sendable)?) throws {
        let bytes = try details.map(encoded)
        let isCancelled = Task.isCancelled
        let (mustWrite, mustStop) = state.withLock { state -> (Bool, Bool) in
            if state.hasEnded { return (false, true) }
            state.lastSign = services.clock.now()
            let mustStop = isCancelled || state.isStopped
            if isProbe { return (false, mustStop) }
            state.unwritten = Heartbeat(
                run: run, epoch: epoch, subject: attempt.subject, isUndo: isUndo, details: bytes ?? state.unwritten?.details)
            if state.isResting { return (false, mustStop) }
            state.isResting = true
            return (true, mustStop)
        }
        if mustWrite { write() }
        if mustStop { throw CancellationError() }
    }

    private func encoded(_ details: any Codable & Sendable) throws -> [UInt8] {
        do {
            return try Payload.encode(
                details, limit: services.payloadLimit, what: "what '\(attempt.subject)' says with its heartbeat"
            ).bytes
        } catch {
            throw PerdureError(error)
        }
    }

    func lastHeartbeat<Details: Decodable>(as type: Details.Type) throws -> Details? {
        guard let earlier = state.withLock({ $0.earlier }) else { return nil }
        do {
            return try Payload(bytes: earlier).decode(type, what: "the last heartbeat of '\(attempt.subject)'")
        } catch {
            throw PerdureError(error)
        }
    }

    private func write() {
        let heartbeat = state.withLock { state -> Heartbeat? in
            defer { state.unwritten = nil }
            state.isResting = state.unwritten != nil
            return state.unwritten
        }
        guard let heartbeat else { return }
        services.journal.submit(.beat(heartbeat)) { [self] result in
            // Nobody hears of the run any more: it has another owner, or the engine ends.
            guard case .advanced? = result else { return }
            services.scheduler.schedule(after: Self.rest) { [self] in write() }
        }
    }

    // MARK: For the activation

    var lastSign: Timestamp { state.withLock { $0.lastSign } }
    /// Whether it was stopped because nothing was heard of it.
    var wasSilent: Bool { state.withLock { $0.isSilent } }

    /// Whether an attempt before this one may have left something. A first one is spared the look.
    private var mayFollowAnother: Bool { isProbe || attempt.number > 1 || attempt.isRepeated }

    /// Fetches what the attempts before have left. They wrote it before this one began.
    func recall() async throws(StoreError) {
        guard mayFollowAnother else { return }
        let found = try await services.store.heartbeats(of: run, attempt.subject).first { $0.isUndo == isUndo }
        state.withLock { $0.earlier = found?.details }
    }

    /// The body is to end.
    func stop() { state.withLock { $0.isStopped = true } }

    func stopForSilence() { state.withLock { $0.isSilent = true } }

    /// The body has returned. What it said last goes out before its outcome does, unless nobody will ask.
    func end(_ outcome: AttemptOutcome?) {
        let last = state.withLock { state -> Heartbeat? in
            state.hasEnded = true
            defer { state.unwritten = nil }
            return state.unwritten
        }
        if let last, case .failed? = outcome { services.journal.submit(.beat(last)) { _ in } }
    }
}

extension AttemptFailure {
    /// An attempt that was not made because somebody else might have made it.
    static let notBegun = AttemptFailure(
        typeName: FailedAttempt.engineType,
        message: "it was not begun: this node did not learn in time that it still has the run", isDefinite: true)

    /// An attempt that was not made because what the one before had left could not be read.
    init(unread error: StoreError) {
        self.init(
            typeName: FailedAttempt.engineType, message: "the last heartbeat of the attempts before could not be read: \(error)",
            isDefinite: true)
    }

    /// What a body throws that was stopped for its silence says nothing of why.
    func explained(bySilenceOf timeout: Duration?) -> AttemptFailure {
        guard let timeout, typeName == "CancellationError" else { return self }
        var failure = self
        failure.message = "no heartbeat for more than \(timeout)"
        return failure
    }
}
