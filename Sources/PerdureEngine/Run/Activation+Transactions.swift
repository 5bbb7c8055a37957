import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// Steps whose work is a part of the commit that records it. While one is under way it is the run's commit in flight: nothing else of
// the run is committed, so that the event stands on the end of the history.
extension Activation {
    /// Refuses work for another kind of store than the one that the histories are in.
    func checkStore(of call: StepCall, subject: String) throws {
        // Where no store is at hand, any would do.
        guard let wanted = call.transaction?.store, !(services.store is NoStore) else { return }
        if let own = services.store.transactions, ObjectIdentifier(own) == ObjectIdentifier(wanted) { return }
        let message =
            "Step '\(subject)' works in a transaction of \(wanted.name), but the histories of this engine are kept elsewhere. Use another "
            + "effect, or open the engine with that store."
        throw noted(Divergence(.contextMisused, subject: subject, message: message), .contextMisused)
    }

    func transact(_ id: OperationID, now: Timestamp) {
        let begun = state.withLock { state -> (Attempt, StepCall, Admission?)? in
            guard state.inFlight == nil else {
                // It takes its turn when that commit is back.
                state.machine.lookAgain(at: id)
                return nil
            }
            guard let attempt = state.machine.beginAttempt(id, now: now), let call = state.calls[attempt.source] else {
                return nil
            }
            state.inFlight = InFlight(events: [], head: state.head, facts: [], takes: [], transition: nil)
            return (attempt, call, state.admissions.removeValue(forKey: id))
        }
        guard let (attempt, call, admission) = begun else { return }
        services.metrics.attempts.increment()
        if attempt.isRepeated { services.recovery.repeatsAttempt() }
        services.runtime.spawn { [self] in
            let ended = Ended()
            let result = await transact(call, attempt, ended, limit: attempt.deadline.duration(since: now))
            if let admission {
                services.resources.end(admission.resource, admission.ticket, ended.outcome?.tells ?? .answered)
            }
            post(.transacted(id, result, ended.outcome))
        }
    }

    /// How the work of a transaction ended that came to nothing.
    private final class Ended: Sendable {
        private let state = Mutex<AttemptOutcome?>(nil)
        var outcome: AttemptOutcome? { state.withLock { $0 } }
        func set(_ outcome: AttemptOutcome) { state.withLock { $0 = outcome } }
    }

    /// Asks the store until it is known what became of it; `nil` if that stays unknown.
    private func transact(
        _ call: StepCall, _ attempt: Attempt, _ ended: Ended, limit: Duration
    ) async -> TransactionResult? {
        let payloadLimit = services.payloadLimit
        var earlier: RunAdvance?
        var pause = Duration.milliseconds(10)
        while true {
            let tried = Mutex<RunAdvance?>(nil)
            let transaction = StoreTransaction(limit: limit, earlier: earlier) { [self] connection in
                try watched(attempt) { try call.work(attempt, connection, payloadLimit, ended.set) }
            } record: { [self] output in
                let advance = advance(attempt.operation, output)
                tried.withLock { $0 = advance }
                return advance
            }
            do throws(StoreError) {
                return try await services.store.transact(transaction)
            } catch {
                switch error {
                case .awaitsNodes:
                    // Nothing was begun, and no attempt is used up by it.
                    guard await mayAskAgain(after: &pause) else { return nil }
                case .unavailable where earlier != nil:
                    // What became of the earlier try is still to be found out.
                    guard await mayAskAgain(after: &pause) else { return nil }
                case .unavailable(let message):
                    ended.set(.failed(AttemptFailure(typeName: FailedAttempt.engineType, message: message, isDefinite: true)))
                    return .rolledBack(nil)
                case .outcomeUnknown:
                    services.logger.error(
                        "it is not known whether a step's transaction is durable; asking again",
                        metadata: ["run": "\(identity.id)"])
                    earlier = tried.withLock { $0 } ?? earlier
                    guard await mayAskAgain(after: &pause) else { return nil }
                case .corrupt, .unsupported, .unusable, .leaseLost, .closed:
                    // Nobody would be at work on this run, and nobody would know: the engine ends, as after any other commit.
                    services.logger.critical(
                        "the store has failed for good at a step's transaction; the engine ends",
                        metadata: ["run": "\(identity.id)", "error": "\(error)"])
                    services.journal.fail(error)
                    return nil
                }
            }
        }
    }

    /// How long the work of a transaction may take before it is talked about: what it has locked others wait for, in SQLite everything that
    /// is written, and what is not SQL cannot be interrupted.
    private static let patience = Duration.seconds(2)

    private func watched<Output>(_ attempt: Attempt, _ work: () throws -> Output) rethrows -> Output {
        let alarm = services.scheduler.makeAlarm()
        services.scheduler.set(alarm, at: services.clock.now() + Self.patience) { [services, identity] in
            services.logger.warning(
                "the work of a transactional step takes long; others wait for its locks, and it cannot be interrupted outside of SQL",
                metadata: [
                    "run": "\(identity.id)", "workflow": "\(identity.workflow)", "step": "\(attempt.subject)",
                    "after": "\(Self.patience)",
                ])
        }
        defer { services.scheduler.switchOff(alarm) }
        return try work()
    }

    /// Waits a little, longer each time. An engine that ends does not ask for ever: what became of it is found when the run is taken over.
    private func mayAskAgain(after pause: inout Duration) async -> Bool {
        if state.withLock({ $0.mustHandOver || $0.isClosed }) { return false }
        let current = pause
        await withCheckedContinuation { continuation in
            services.scheduler.schedule(after: current) { continuation.resume() }
        }
        pause = min(pause * 2, .seconds(1))
        return true
    }

    /// What is committed with the work, on top of where the run stands; `nil` if the run was given up meanwhile. Called on the store's
    /// thread.
    private func advance(_ id: OperationID, _ output: [UInt8]) -> RunAdvance? {
        state.withLock { state in
            guard !state.isClosed, state.isOwned, state.inFlight != nil, !state.machine.isClosed else { return nil }
            let now = services.clock.now()
            let drafts = state.machine.transactionDrafts(id, output, now: now)
            guard !drafts.events.isEmpty else { return nil }
            var head = state.head
            let events = head.append(contentsOf: drafts.events, run: runText, now: now)
            state.inFlight = InFlight(
                events: events, head: head, facts: [], takes: [], tellsOthers: !drafts.settles.isEmpty, transition: nil)
            return RunAdvance(run: number, epoch: state.epoch, head: state.head, events: events, settles: drafts.settles)
        }
    }

    func transacted(_ id: OperationID, _ result: TransactionResult?, _ outcome: AttemptOutcome?) {
        let failure: AttemptFailure
        switch result {
        case .committed: return committed(.advanced)
        case .refused(.conflict), .refused(.runUnknown), .refused(.runClosed): return committed(.refused(.conflict))
        case nil: return committed(nil)
        case .rolledBack(let reason, let isRetryable):
            failure = AttemptFailure(
                typeName: "", message: reason ?? "the transaction was taken back", isDefinite: true, isRetryable: isRetryable)
        case .refused(let refusal):
            failure = AttemptFailure(
                typeName: FailedAttempt.engineType, message: "the store refused the record of the transaction: \(refusal)",
                isDefinite: true,
                isRetryable: false)
        case .withdrawn:
            failure = AttemptFailure(
                typeName: FailedAttempt.engineType, message: "the run was given up meanwhile", isDefinite: true)
        }
        state.withLock { state in
            state.inFlight = nil
            guard !state.isClosed else { return }
            state.facts.append((services.clock.now(), .attemptEnded(id, outcome ?? .failed(failure))))
        }
    }
}

extension StepCall {
    /// Does the work of the step, or of its undo, on the store's connection. How it failed is kept in the form that history holds, before
    /// everything is taken back.
    fileprivate func work(
        _ attempt: Attempt, _ connection: Any, _ limit: Int, _ fail: (AttemptOutcome) -> Void
    ) throws -> [UInt8] {
        let value: Value
        do {
            if attempt.body == .undo {
                guard let work = undo?.transaction else { throw PerdureError(.historyMismatch, "there is no undo") }
                try work.body(try decodedOutput(attempt.output, of: attempt.subject), connection)
                value = Nothing()
            } else {
                guard let work = transaction else { throw PerdureError(.historyMismatch, "there is no work") }
                value = try work.body(connection)
            }
        } catch {
            fail(.failed(AttemptFailure(error)))
            throw error
        }
        do {
            return try Payload.encode(value, limit: limit, what: "the output of step '\(attempt.subject)'").bytes
        } catch {
            fail(.unrecordable("\(error)"))
            throw error
        }
    }
}
