import CoreMetrics
import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// Running the bodies of steps, undos and probes, away from the workflow's code.
extension Activation {
    func perform(_ action: RunAction, now: Timestamp) {
        switch action {
        case .run(let id) where state.withLock({ $0.machine.isTransaction(id) }):
            transact(id, now: now)
        case .run(let id):
            start(state.withLock { $0.machine.beginAttempt(id, now: now) })
        case .probe(let id):
            start(state.withLock { $0.machine.beginProbe(id, now: now) })
        case .tellBodyToStop(let id):
            state.withLock { state -> Body? in
                state.machine.toldToStop(id)
                state.bodies[id]?.isStopped = true
                return state.bodies[id]
            }?.cancel()
        case .admit(let id):
            admit(id)
        case .awaitKey(let id):
            awaitKey(id)
        }
    }

    private func start(_ attempt: Attempt?) {
        guard let attempt else { return }
        let call: StepCall?
        switch standInCall(attempt) {
        case .call(let undo)?: call = undo
        case .unreadable(let failure)?:
            return post(.fact(.attemptEnded(attempt.operation, .failed(failure)), at: services.clock.now()))
        case nil: call = state.withLock { $0.calls[attempt.source] }
        }
        guard let call else { return }
        let epoch = state.withLock { $0.epoch }
        let number = services.bodies.next()
        services.metrics.attempts.increment()
        if attempt.isRepeated { services.recovery.repeatsAttempt() }
        let host = AttemptHost(attempt, run: self.number, epoch: epoch, services: services)
        // What a body may keep for ever must not keep the run in memory.
        let run = identity.id, key = attempt.keySource, logger = services.logger, attemptNumber = attempt.number
        let isUndo = attempt.body == .undo || attempt.body == .undoProbe
        let watched = services.bodyWatch.map { (watch: $0, attempt: attempt) }
        let context = StepContext(
            runID: run, step: attempt.subject, idempotencyKey: Self.key(key, watched, run), attempt: attempt.number,
            fencingToken: FencingToken(epoch: epoch, sequence: number),
            deadline: services.clock.machineTime(of: attempt.deadline).date,
            logger: Self.bodyLogger(logger, run: run, step: key.subject, number: attemptNumber, isUndo: isUndo),
            host: host)
        // From here on the body answers for what its resource has allowed.
        let admission = state.withLock { $0.admissions.removeValue(forKey: attempt.operation) }
        let resources = services.resources
        let execute: @Sendable () async -> Void = { [self] in
            let fact = await carryOut(call, attempt, context, host)
            if let admission, case .attemptEnded(_, let outcome) = fact {
                resources.end(admission.resource, admission.ticket, outcome.tells)
            }
            post(.fact(fact, at: services.clock.now(), body: number))
        }
        let task = services.bodyExecutor.start(
            "attempt \(attempt.number) of '\(attempt.subject)' of run \(run)", execute)
        // Its end is mail, which this thread reads later: the entry cannot come too late.
        let body = Body(
            number: number, task: task, host: host, subject: attempt.subject, attempt: attempt.number,
            deadline: attempt.deadline, silence: attempt.heartbeatTimeout)
        state.withLock { $0.bodies[attempt.operation] = body }
    }

    /// Runs the body, the undo or the probe, with what the attempts before have left.
    private func carryOut(_ call: StepCall, _ attempt: Attempt, _ context: StepContext, _ host: AttemptHost) async -> Fact {
        let limit = services.payloadLimit
        switch attempt.body {
        case .step, .undo:
            var outcome: AttemptOutcome
            do throws(StoreError) {
                try await host.recall()
                if await !mayBegin(attempt) {
                    outcome = .failed(.notBegun)
                } else if let watch = services.bodyWatch {
                    outcome = await watch.attempt(attempt, of: identity.id) { await call.run(attempt, context, limit: limit) }
                } else {
                    outcome = await call.run(attempt, context, limit: limit)
                }
            } catch {
                outcome = .failed(AttemptFailure(unread: error))
            }
            if case .failed(let failure) = outcome, host.wasSilent {
                outcome = .failed(failure.explained(bySilenceOf: attempt.heartbeatTimeout))
            }
            host.end(outcome)
            return .attemptEnded(attempt.operation, outcome)
        case .stepProbe, .undoProbe:
            defer { host.end(nil) }
            do throws(StoreError) {
                try await host.recall()
            } catch {
                return .probeEnded(attempt.operation, .unknown("\(error)"))
            }
            guard let watch = services.bodyWatch else {
                return .probeEnded(attempt.operation, await call.probe(attempt, context, limit: limit))
            }
            return .probeEnded(
                attempt.operation,
                await watch.probe(attempt, of: identity.id) { await call.probe(attempt, context, limit: limit) })
        }
    }

    /// What must not be done twice is begun only while nobody else can have the run. Asked last: the process may stand still at any moment,
    /// and the less there is between this and the body the better.
    private func mayBegin(_ attempt: Attempt) async -> Bool {
        guard attempt.needsLease, let lease = services.lease, !lease.isHeld else { return true }
        return await lease.untilHeld() && services.clock.now() < attempt.deadline
    }

    private static func key(
        _ source: IdempotencyKeySource, _ watched: (watch: any BodyWatch, attempt: Attempt)?, _ run: RunID
    ) -> String {
        if let watched { watched.watch.usesKey(watched.attempt, of: run) }
        return source.key
    }

    private static func bodyLogger(_ base: Logger, run: RunID, step: String, number: Int, isUndo: Bool) -> Logger {
        var logger = base
        logger[metadataKey: "run"] = "\(run)"
        logger[metadataKey: "step"] = "\(step)"
        logger[metadataKey: "attempt"] = "\(number)"
        if isUndo { logger[metadataKey: "undo"] = "true" }
        return logger
    }

    /// Cancels the tasks of attempts whose deadline has passed. An attempt is over only when its body has returned: one that does not
    /// holds its step up, which somebody should know.
    func stopOverdueBodies(now: Timestamp) {
        let (overdue, endless, strays) = state.withLock { state -> ([Body], [Body], [Body]) in
            guard let look = state.looksAtBodiesAt, look <= now else { return ([], [], []) }
            let late = state.bodies.filter { $0.value.isStopped && $0.value.isDue(at: now) }
            for id in late.keys { state.bodies[id]?.isReported = true }
            let ids = state.bodies.filter { !$0.value.isStopped && $0.value.stopsAt <= now }.map(\.key).sorted()
            for id in ids { state.bodies[id]?.stop(at: now) }
            let strays = state.strays.filter { $0.value.isDue(at: now) }
            for number in strays.keys { state.strays[number]?.isReported = true }
            return (
                ids.compactMap { state.bodies[$0] }, late.sorted { $0.key < $1.key }.map(\.value),
                strays.sorted { $0.key < $1.key }.map(\.value)
            )
        }
        for body in overdue { body.cancel() }
        for body in endless {
            services.logger.warning("a body does not end after its deadline; its step waits for it", metadata: metadata(of: body))
        }
        for body in strays {
            services.logger.warning(
                "a probe that a person has overtaken does not end; its run waits for it", metadata: metadata(of: body))
        }
    }

    private func metadata(of body: Body) -> Logger.Metadata {
        [
            "run": "\(identity.id)", "workflow": "\(identity.workflow)", "step": "\(body.subject)",
            "attempt": "\(body.attempt)", "deadline": "\(body.deadline)",
        ]
    }

    /// Tells every body to stop: its outcome does not count any more.
    func stopBodies() {
        let bodies = state.withLock { state in
            (Array(state.bodies.values) + Array(state.strays.values)).sorted { $0.number < $1.number }
        }
        for body in bodies { body.cancel() }
    }

    /// Asks the store to tell when the key's holder settles. The run stays owned until the answer is there, so that it cannot be missed.
    private func awaitKey(_ id: OperationID) {
        guard
            let wanted = state.withLock({ state in
                let wanted = state.machine.businessKey(of: id)
                if wanted != nil { state.untoldWaits.insert(id) }
                return wanted
            })
        else { return }
        askForKey(id, BusinessKey(namespace: identity.namespace, step: wanted.step, key: wanted.key), wanted.subject)
    }

    private func askForKey(_ id: OperationID, _ key: BusinessKey, _ subject: String) {
        services.runtime.spawn { [self] in
            do {
                post(.keyAwaited(id, try await services.store.awaitKey(key, run: number, subject: subject)))
            } catch {
                services.logger.error("cannot wait for a business key", metadata: ["run": "\(identity.id)", "error": "\(error)"])
                services.scheduler.schedule(after: .seconds(1)) { [weak self] in self?.askForKey(id, key, subject) }
            }
        }
    }
}

extension Activation.Body {
    /// Tells it to end. What it hands its context to, in other tasks, hears of it too.
    func cancel() {
        host.stop()
        task.cancel()
    }

    /// How long a body that was told to stop may take for it before it is talked about.
    private static let patience = Duration.seconds(10)

    /// When there is something to do about it, if it has not ended by then.
    var looksAgainAt: Timestamp? {
        if isReported { return nil }
        return isStopped ? (stoppedAt ?? deadline) + Self.patience : stopsAt
    }

    /// When its time is up, or its silence has become too long.
    var stopsAt: Timestamp { silence.map { min(deadline, host.lastSign + $0) } ?? deadline }

    mutating func stop(at now: Timestamp) {
        isStopped = true
        guard now < deadline else { return }
        host.stopForSilence()
        stoppedAt = now
    }

    func isDue(at now: Timestamp) -> Bool { looksAgainAt.map { $0 <= now } ?? false }
}

extension Fact {
    /// The message that it is, if it came through the inbox.
    var row: InboxRow? {
        if case .inbox(let row) = self { row } else { nil }
    }

    /// The operation whose body has ended, if that is what the fact says.
    var endedBody: OperationID? {
        switch self {
        case .attemptEnded(let id, _), .probeEnded(let id, _): id
        case .due, .inbox, .keyHeld, .survived: nil
        }
    }
}

extension StepCall {
    /// Runs the body or the undo, and says how it ended in the form that history holds.
    func run(_ attempt: Attempt, _ context: StepContext, limit: Int) async -> AttemptOutcome {
        let value: Value
        do {
            if attempt.body == .undo {
                guard let undo else {
                    return .failed(
                        AttemptFailure(typeName: "", message: "there is no undo", isDefinite: true, isRetryable: false))
                }
                try await undo.body(try decodedOutput(attempt.output, of: attempt.subject), context)
                value = Nothing()
            } else {
                value = try await body(context)
            }
        } catch {
            return .failed(AttemptFailure(error))
        }
        do {
            return .succeeded(try Payload.encode(value, limit: limit, what: "the output of step '\(attempt.subject)'").bytes)
        } catch {
            return .unrecordable("\(error)")
        }
    }

    func probe(_ attempt: Attempt, _ context: StepContext, limit: Int) async -> ProbeOutcome {
        do {
            let answer: ProbeAnswer<Value>
            if attempt.body == .undoProbe {
                guard let probe = undo?.probe else { return .unknown("there is no probe") }
                answer = try await probe(try decodedOutput(attempt.output, of: attempt.subject), context)
            } else {
                guard let probe else { return .unknown("there is no probe") }
                answer = try await probe(context)
            }
            switch answer {
            case .happened(let value):
                return .happened(
                    try Payload.encode(value, limit: limit, what: "the output that a probe of '\(attempt.subject)' found").bytes)
            case .didNotHappen: return .didNotHappen
            case .partly(let details): return .partly(details)
            case .unknown: return .unknown("the other side cannot say")
            }
        } catch {
            return .unknown("\(error)")
        }
    }

    func decodedOutput(_ bytes: [UInt8], of subject: String) throws -> Value {
        func decode<T: Codable & Sendable>(_ type: T.Type) throws -> Value {
            try Payload(bytes: bytes).decode(type, what: "the recorded output of step '\(subject)'")
        }
        return try decode(outputType)
    }
}

extension AttemptFailure {
    /// What history keeps of an error: its name, its text, itself if it is `Codable`, and what it means for the effect.
    package init(_ error: any Error) {
        let classified = error as? any ClassifiedError
        let payload = (error as? any Error & Encodable).flatMap {
            try? Payload.encode($0, limit: 64 * 1_024, what: "an error").bytes
        }
        self.init(
            typeName: "\(type(of: error))", message: String("\(error)".prefix(2_000)), payload: payload,
            isDefinite: classified?.isDefinite ?? false, isRetryable: classified?.isRetryable ?? true,
            retryAfter: classified?.retryAfter)
    }
}
