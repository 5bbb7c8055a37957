package import Foundation
import Logging
package import Perdure
package import PerdureHistory
import PerdureStore
import Synchronization

// What the workflow's code calls, on the thread that drains it.
extension Activation: RunHost {
    package var runID: RunID { identity.id }
    package var now: Date { state.withLock { $0.machine.lastEventAt }.date }

    package func identifyTimer(_ name: String, id: String?) throws -> String { try identify(.timer, name, id: id) }

    package nonisolated(nonsending) func perform<Output: Codable & Sendable>(
        _ call: StepCall, isolation: (any Actor)?, returning: Output.Type
    ) async throws -> Output {
        try await enter(isolation)
        let subject = try identify(.step, call.name, id: call.id)
        let request = try stepRequest(call, subject: subject)
        let id = state.withLock { state in
            let id = state.machine.request(request)
            state.calls[id] = call
            return id
        }
        let bytes = try await value(of: id)
        if call.undo == nil { state.withLock { $0.calls[id] = nil } }
        do {
            return try Payload(bytes: bytes).decode(Output.self, what: "the recorded output of step '\(subject)'")
        } catch {
            throw noted(Divergence(.mismatch, subject: subject, message: "\(error) \(Divergence.waysOut)"), .historyMismatch)
        }
    }

    package nonisolated(nonsending) func sleep(_ subject: String, for duration: Duration, isolation: (any Actor)?) async throws {
        try await enter(isolation)
        let id = state.withLock { $0.machine.requestTimer(subject, duration: duration) }
        _ = try await value(of: id)
    }

    package nonisolated(nonsending) func sleep(_ subject: String, until time: Date, isolation: (any Actor)?) async throws {
        try await enter(isolation)
        let id = state.withLock { $0.machine.requestTimer(subject, duration: .zero, until: Timestamp(time)) }
        _ = try await value(of: id)
    }

    package nonisolated(nonsending) func signal<Payload: Codable & Sendable>(
        _ name: String, isolation: (any Actor)?, as type: Payload.Type
    ) async throws -> Payload {
        try await enter(isolation)
        guard Name.isIdentifier(name) else {
            throw noted(
                Divergence(
                    .nameInvalid, subject: name,
                    message: "'\(name)' cannot be a signal's name: use 1 to 128 letters, digits, '-', '_' and '.'."),
                .nameInvalid)
        }
        let id = state.withLock { $0.machine.requestSignal(name) }
        return try decode(try await value(of: id), as: type, what: "the payload of signal '\(name)'")
    }

    package nonisolated(nonsending) func ask<Answer: Codable & Sendable>(
        _ call: QuestionCall, isolation: (any Actor)?, as type: Answer.Type
    ) async throws -> Answer {
        try await enter(isolation)
        let subject = try identify(.question, call.name, id: call.id)
        let request = QuestionRequest(subject: subject, text: call.text, approver: call.approver, within: call.within) { bytes in
            do {
                _ = try Payload(bytes: bytes).decode(type, what: "the answer to '\(subject)'")
                return nil
            } catch {
                return "\(error)"
            }
        }
        let id = state.withLock { $0.machine.request(request) }
        return try decode(try await value(of: id), as: type, what: "the answer to '\(subject)'")
    }

    package func random(_ name: String, id: String?) throws -> UInt64 {
        DerivedRandom(salt: state.withLock { $0.machine.randomness }).uint64(try identify(.random, name, id: id))
    }

    package func uuid(_ name: String, id: String?) throws -> UUID {
        DerivedRandom(salt: state.withLock { $0.machine.randomness }).uuid(try identify(.random, name, id: id))
    }

    package func openScope(_ name: String, id: String?) throws -> String { try identify(.scope, name, id: id) }

    package nonisolated(nonsending) func unwind(_ scope: String) async throws {
        let (isLeft, id) = state.withLock { state -> (Bool, OperationID?) in
            if state.isClosed { return (false, nil) }
            if state.machine.isBeingContinued { return (true, nil) }
            return (false, state.machine.requestUnwinding(of: scope))
        }
        if isLeft { return }
        guard let id else { throw CancellationError() }
        flush()
        // Unwinding ignores cancellation.
        if await suspend(id) == nil { throw CancellationError() }
    }

    // MARK: Entering

    /// Refuses calls that cannot be answered: from outside the run, from a run that leaves memory, from a cancelled task.
    ///
    /// - Parameter isReply: Whether somebody outside waits for it. A run that is being continued still answers what it has taken.
    nonisolated(nonsending) func enter(_ isolation: (any Actor)?, isReply: Bool = false) async throws {
        let isEndless = state.withLock { state -> Bool? in
            guard state.isClosed || (state.machine.isBeingContinued && !isReply) else { return nil }
            return state.callsAfterEnd.add(of: executor.currentTaskID ?? 0)
        }
        if let isEndless {
            // Code that swallows the error in a loop is suspended for good rather than kept spinning.
            if isEndless { await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in } }
            throw CancellationError()
        }
        if let misuse = executor.misuse(isolation: isolation) { throw noted(misuse) }
        if Task.isCancelled, !RunTask.ignoresCancellation { throw CancellationError() }
    }

    func noted(_ misuse: ContextMisuse) -> PerdureError {
        let message =
            switch misuse {
            case .outsideTheRun:
                "The context was used outside the run's own tasks: in 'Task {}', a detached task or a step's body. Use 'async let' or a task "
                    + "group for work beside the rest, and give a step's body what it needs as its input."
            case .onAnActor:
                "The context was used on an actor, whose other callers decide when it goes on. Call the context from the workflow's own "
                    + "functions, and the actor from inside a step."
            }
        defer { post(.wake) }
        return noted(Divergence(.contextMisused, subject: "", message: message), .contextMisused)
    }

    /// Ends the activation after the code has come to rest, and tells the code at once.
    func noted(_ divergence: Divergence, _ code: PerdureError.Code) -> PerdureError {
        note(divergence)
        return PerdureError(code, divergence.message, metadata: [("subject", divergence.subject)])
    }

    func identify(_ family: IdentityTable.Family, _ name: String, id: String?) throws -> String {
        guard let task = executor.currentTaskID else {
            if state.withLock({ $0.isClosed }) { throw CancellationError() }
            throw noted(ContextMisuse.outsideTheRun)
        }
        let result = state.withLock { state -> Result<String, Divergence> in
            do throws(Divergence) {
                return .success(try state.identities.next(family, scope: RunTask.scope, name: name, id: id, task: task))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let subject): return subject
        case .failure(let divergence): throw noted(divergence, divergence.kind == .nameTaken ? .nameTaken : .nameInvalid)
        }
    }

    private func stepRequest(_ call: StepCall, subject: String) throws -> StepRequest {
        if let key = call.businessKey, !Name.isKey(key) {
            throw noted(
                Divergence(
                    .nameInvalid, subject: subject,
                    message:
                        "The key of step '\(subject)' cannot be recorded: use 1 to 256 bytes of text without control characters."),
                .nameInvalid)
        }
        try checkStore(of: call, subject: subject)
        let input: Payload
        do {
            input = try Payload.encode(call.input, limit: services.payloadLimit, what: "the input of step '\(subject)'")
        } catch {
            // A mistake of the code, not an outcome: a build that mends it goes on from here.
            throw noted(Divergence(.valueRefused, subject: subject, message: error.description), PerdureError(error).code)
        }
        let undo: StepRequest.Undo? = call.undo.map { undo in
            if undo.transaction != nil { return .transactional }
            return undo.isAtMostOnce ? .atMostOnce(hasProbe: undo.probe != nil) : .idempotent
        }
        return StepRequest(
            subject: subject, name: Name.normalized(call.name), scope: RunTask.scope, effect: call.effect, policy: call.policy,
            hasProbe: call.probe != nil, undo: undo, irreversible: call.irreversible, approval: call.approval,
            businessKey: call.businessKey.map(Name.normalized), stepType: call.stepType, input: input.bytes,
            accepts: Self.acceptance(of: call.input, input),
            refusesOutput: Self.refusal(of: call.outputType, subject: subject))
    }

    /// Compares recorded bytes with today's input: the same, or the same once read and written by today's type.
    static func acceptance<Input: Codable & Sendable>(of value: Input, _ input: Payload) -> @Sendable ([UInt8]) -> Bool {
        { recorded in Payload(bytes: recorded).fits(input, as: Input.self) != .different }
    }

    /// Says why bytes that a person or another run gives as the step's output cannot be read as it.
    private static func refusal<Output: Codable & Sendable>(
        of type: Output.Type, subject: String
    ) -> @Sendable ([UInt8]) -> String? {
        { output in
            do {
                _ = try Payload(bytes: output).decode(type, what: "the result of step '\(subject)'")
                return nil
            } catch {
                return "\(error)"
            }
        }
    }

    // MARK: Waiting

    /// Waits for the operation's end. The code of a run that leaves memory gets `CancellationError`.
    nonisolated(nonsending) func value(of id: OperationID) async throws -> [UInt8] {
        switch try await answer(to: id) {
        case .value(let bytes): bytes
        case .done, .update, .failure, .cancelled: []
        }
    }

    /// Waits for the operation's end; a failure is thrown. The code of a run that leaves memory gets `CancellationError`.
    nonisolated(nonsending) func answer(to id: OperationID) async throws -> Answer {
        flush()
        let answer: Answer?
        if RunTask.ignoresCancellation {
            answer = await suspend(id)
        } else {
            answer = await withTaskCancellationHandler {
                await suspend(id)
            } onCancel: {
                state.withLock { if !$0.isClosed { $0.machine.cancel(id) } }
                flush()
            }
        }
        switch answer {
        case .failure(let failure)?: throw failure
        case .cancelled?, nil: throw CancellationError()
        case let answer?: return answer
        }
    }

    private nonisolated(nonsending) func suspend(_ id: OperationID) async -> Answer? {
        await withUnsafeContinuation { continuation in
            let (isReady, answer) = state.withLock { state -> (Bool, Answer?) in
                if state.isClosed { return (true, nil) }
                if let answer = state.ready.removeValue(forKey: id) { return (true, answer) }
                state.waiting[id] = continuation
                return (false, nil)
            }
            if isReady { continuation.resume(returning: answer) }
        }
    }

    /// Delivers the answers that the machine gave to a request or a cancellation at once.
    private func flush() {
        for (id, answer) in state.withLock({ $0.machine.takeAnswers() }) { deliver(answer, to: id) }
    }

    func deliver(_ answer: Answer, to id: OperationID) {
        let continuation = state.withLock { state -> UnsafeContinuation<Answer?, Never>? in
            if let continuation = state.waiting.removeValue(forKey: id) { return continuation }
            if !state.isClosed { state.ready[id] = answer }
            return nil
        }
        continuation?.resume(returning: answer)
    }

    private func decode<T: Decodable>(_ bytes: [UInt8], as type: T.Type, what: @autoclosure () -> String) throws -> T {
        do {
            return try Payload(bytes: bytes).decode(type, what: what())
        } catch {
            throw StepFailure(code: StepFailure.undecodable, message: "\(error)")
        }
    }
}

extension PerdureError {
    /// The public form of what a payload does not allow.
    package init(_ error: PayloadError) {
        switch error {
        case .notEncodable: self.init(.valueNotEncodable, error.description)
        case .notDecodable: self.init(.inputUndecodable, error.description)
        case .tooLarge: self.init(.payloadTooLarge, error.description)
        }
    }
}
