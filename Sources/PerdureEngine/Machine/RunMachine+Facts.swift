import DequeModule
import HeapModule
import Perdure
package import PerdureHistory
package import PerdureStore

// What came about outside, turned into events. A fact that no longer matters becomes nothing.
extension RunMachine {
    /// The times that have come, as facts with the time at which they came, so that they can be ordered among the others.
    package mutating func dueFacts(now: Timestamp) -> [(at: Timestamp, fact: Fact)] {
        var facts: [(at: Timestamp, fact: Fact)] = []
        while let first = dues.min, first.at <= now {
            dues.removeMin()
            if first.id == .run {
                if mayPassDeadline { facts.append((first.at, .due(.run))) }
            } else if let timer = timers[first.id] {
                if timer.phase == .started { facts.append((first.at, .due(first.id))) }
            } else if let question = questions[first.id] {
                if question.phase == .asked { facts.append((first.at, .due(first.id))) }
            } else if let step = steps[first.id] {
                if step.phase == .awaitingApproval { facts.append((first.at, .due(first.id))) } else { enqueue(first.id) }
            }
        }
        return facts
    }

    /// The operation that a fact speaks of. Of several facts about one operation only the first can be taken into a commit; the
    /// others are kept and looked at again when it has been fed.
    ///
    /// A fact that comes to nothing speaks of nothing: it must not keep another one out of a batch that is refused and made anew, or
    /// be left out of one that closes the run.
    package func operation(of fact: Fact) -> OperationID? {
        switch fact {
        case .attemptEnded(let id, _): steps[id]?.phase == .running ? id : nil
        case .probeEnded(let id, _): steps[id]?.phase == .probing || strayProbes.contains(id) ? id : nil
        case .due(let id): isDue(id) ? id : nil
        // What the store said of a key last is what counts, whatever it said before.
        case .keyHeld, .survived: nil
        case .inbox(let row) where row.delivery.kind == .childResult: waitedFor(row)
        case .inbox(let row) where termination == nil:
            switch row.delivery.kind {
            case .decision: stepIDs[row.delivery.name].flatMap { steps[$0]?.phase == .awaitingApproval ? $0 : nil }
            case .answer: questionIDs[row.delivery.name].flatMap { questions[$0]?.phase == .asked ? $0 : nil }
            case .retry, .resolve: stuckStep(row.delivery.name)?.id
            case .signal, .update, .cancel, .terminate, .pause, .unpause, .repin, .reset, .settleLoss, .keySettled, .childResult,
                .unreadable:
                nil
            }
        case .inbox: nil
        }
    }

    /// The code is still at work, and was not told to end.
    var mayPassDeadline: Bool { standIn == nil && !cancelWasRequested && rootResult == nil && rewinding == nil && !isUndoingAll }

    /// The code has ended with an error, and everything that it did is being undone.
    var isUndoingAll: Bool { unwindings.values.contains { $0.scope.isEmpty } }

    private mutating func deadlinePassed() -> EventDraft {
        batch.hasCancel = true
        return .deadlinePassed(deadline)
    }

    private func isDue(_ id: OperationID) -> Bool {
        timers[id]?.phase == .started || questions[id]?.phase == .asked || steps[id]?.phase == .awaitingApproval
    }

    /// The operation whose intent wants to take a business key, for a `keyHeld` after the store has refused it.
    package func operation(taking take: BusinessKeyTake) -> OperationID? { stepIDs[take.subject] }

    /// Adds a fact to the batch in the making, which `plan` closes. A fact without drafts is done with, but for a `terminate`, which
    /// is taken in by one of the next plans.
    ///
    /// - Parameter random: in 0..<1, spreads retries.
    package mutating func drafts(for fact: Fact, now: Timestamp, random: Double) -> Drafts {
        if isClosed { return Drafts() }
        var subject = operation(of: fact)
        if case .keyHeld(let id, _) = fact { subject = id }
        var drafts = drafts(about: fact, now: now, random: random)
        if !drafts.isEmpty { batch.hasDrafts = true }
        if !drafts.events.isEmpty {
            if let subject { batch.spokenFor.insert(subject) }
            if !drafts.events.allSatisfy(Self.isMereNote) {
                batch.changesRun = true
                if !drafts.events.allSatisfy({ $0.kind == .signalReceived || $0.kind == .updateReceived }) {
                    batch.changesMore = true
                } else if case .inbox(let row) = fact {
                    batch.messages.append(row)
                }
            }
            if !batch.hasOpened { drafts.events.insert(contentsOf: opening(), at: 0) }
            batch.hasOpened = true
        }
        return drafts
    }

    /// What is to be recorded of a step whose work is being committed with it, in a commit of its own.
    package mutating func transactionDrafts(_ id: OperationID, _ output: [UInt8], now: Timestamp) -> Drafts {
        defer { batch = Batch() }
        return drafts(for: .attemptEnded(id, .succeeded(output)), now: now, random: 0.5)
    }

    /// Whether the attempt that a plan wants made is work of the store's own transaction.
    package func isTransaction(_ id: OperationID) -> Bool { steps[id]?.isTransaction ?? false }

    /// Has the next plan look at an operation whose action could not be taken yet.
    package mutating func lookAgain(at id: OperationID) { enqueue(id) }

    /// Whether the event changes nothing for the code. Static: as a method it would be handed on with a copy of the whole machine.
    private static func isMereNote(_ event: EventDraft) -> Bool {
        switch event.kind {
        case .signalUndelivered, .runResumed: true
        case .updateRejected: (try? event.attributes.object().has("unheard")) ?? false
        case .operatorAction: (try? event.attributes.object().has("refused")) ?? false
        default: false
        }
    }

    private mutating func drafts(about fact: Fact, now: Timestamp, random: Double) -> Drafts {
        var drafts = Drafts()
        switch fact {
        case .attemptEnded(let id, let outcome):
            guard let step = steps[id], step.phase == .running else { return drafts }
            draft(outcome, of: step, now: now, random: random, into: &drafts)
        case .probeEnded(let id, let outcome):
            if strayProbes.remove(id) != nil {
                enqueue(id)
                return drafts
            }
            guard let step = steps[id], step.phase == .probing else { return drafts }
            draft(outcome, of: step, now: now, random: random, into: &drafts)
        case .due(.run):
            if mayPassDeadline, !batch.hasCancel { drafts.events.append(deadlinePassed()) }
        case .due(let id):
            if let timer = timers[id], timer.phase == .started {
                drafts.events.append(EventDraft(.timerFired, subject: timer.subject))
            } else if let question = questions[id], question.phase == .asked {
                drafts.events.append(EventDraft(.questionExpired, subject: question.request.subject))
            } else if let step = steps[id], step.phase == .awaitingApproval {
                drafts.events.append(EventDraft(.approvalExpired, subject: step.request.subject))
            }
        case .inbox(let row):
            draft(row, now: now, into: &drafts)
        case .keyHeld(let id, let holder):
            if batch.spokenFor.contains(id) { return drafts }
            guard let step = steps[id], [.released, .approved, .awaitingKey].contains(step.phase) else { return drafts }
            // What was given up and not sent needs no key; what a lost part may have sent under it does.
            if step.isCancelled, !step.mayHaveRun { return drafts }
            draft(holder, of: step, into: &drafts)
        case .survived:
            guard isWatched else { return drafts }
            let attributes: Attributes = ["build": .string(build), "node": .string(node), "watched": false]
            drafts.events.append(EventDraft(.runResumed, attributes: attributes))
        }
        return drafts
    }

    // MARK: Attempts

    private mutating func draft(
        _ outcome: AttemptOutcome, of step: StepOperation, now: Timestamp, random: Double, into drafts: inout Drafts
    ) {
        switch outcome {
        case .succeeded(let output):
            drafts.events.append(succeeded(step, output))
            settleKey(of: step, happenedWith: output, into: &drafts)
        case .unrecordable(let message) where step.isNeverInDoubt:
            drafts.events.append(failed(step, AttemptFailure(typeName: "", message: message)))
        case .unrecordable(let message):
            drafts.events.append(inDoubt(step, .unrecordable, details: message))
        case .failed(let failure):
            draft(failure, of: step, now: now, random: random, into: &drafts)
        }
    }

    private mutating func draft(
        _ failure: AttemptFailure, of step: StepOperation, now: Timestamp, random: Double, into drafts: inout Drafts
    ) {
        let isDefinite = step.isNeverInDoubt || failure.isDefinite
        // Under one key a refusal for good speaks for every attempt; a definite error that another attempt may mend (a rate limit, no
        // connection) speaks of its own attempt only.
        let surelyDidNotHappen = step.isNeverInDoubt || (isDefinite && (!failure.isRetryable || !step.earlierMayHaveRun))
        let policy = step.request.policy.retry
        if step.isCancelled, surelyDidNotHappen {
            drafts.events.append(stepCancelled(step, after: failure))
            settleKey(of: step, .free, into: &drafts)
            return
        }
        if !failure.isRetryable {
            guard isDefinite else {
                drafts.events.append(inDoubt(step, .nonRetryable, failure))
                return
            }
            drafts.events.append(failed(step, failure))
            if step.family == .step { settleKey(of: step, .free, into: &drafts) }
            return
        }
        if step.isAtMostOnce, !isDefinite {
            drafts.events.append(inDoubt(step, .noAnswer, failure))
            return
        }
        let tries = step.nextAttempt - step.forgivenAttempts
        if let most = policy.maximumAttempts, tries >= most {
            switch (surelyDidNotHappen, policy.exhaustion) {
            case (false, _): drafts.events.append(inDoubt(step, .exhausted, failure))
            case (true, .thenThrow):
                drafts.events.append(failed(step, failure))
                if step.family == .step { settleKey(of: step, .free, into: &drafts) }
            case (true, .park): drafts.events.append(attemptFailed(step, failure, isDefinite: isDefinite, next: nil))
            }
            return
        }
        let delay = max(policy.delay(afterAttempt: tries, random: random), failure.retryAfter ?? .zero)
        drafts.events.append(attemptFailed(step, failure, isDefinite: isDefinite, next: now + delay))
    }

    // MARK: Probes

    /// In whose name a probe's finding is recorded.
    static let probe = Principal(.system, "probe")

    /// How often a probe is asked before a person is.
    static var probeLimit: Int { 8 }

    private mutating func draft(
        _ outcome: ProbeOutcome, of step: StepOperation, now: Timestamp, random: Double, into drafts: inout Drafts
    ) {
        switch outcome {
        case .happened(let output):
            drafts.events.append(resolved(step, .happened, by: Self.probe, output: output))
            settleKey(of: step, happenedWith: output, into: &drafts)
        case .didNotHappen:
            // Believed only once the earlier attempt cannot act any more.
            if let quiet = step.quietAfter, now < quiet, !Mutant.isOn("believe a probe too early") {
                probeLater(step, at: quiet)
            } else {
                let next = afterNothingHappened(to: step, isPerson: false, now: now, random: random)
                drafts.events.append(resolved(step, .didNotHappen, by: Self.probe, then: next))
                if step.isCancelled || next == .failure { settleKey(of: step, .free, into: &drafts) }
            }
        case .partly(let details):
            drafts.events.append(inDoubt(step, .partly, details: details))
        case .unknown(let details):
            let tries = (step.doubt?.probeTries ?? 0) + 1
            if tries >= Self.probeLimit {
                drafts.events.append(inDoubt(step, .probeFailed, details: details))
            } else {
                // Recorded, or a process that ends would begin to count anew.
                let delay = RetryPolicy(maximumDelay: .minutes(1), jitter: 0).delay(afterAttempt: tries, random: 0)
                let reason = step.doubt?.reason ?? .interrupted
                drafts.events.append(inDoubt(step, reason, details: details, probe: (tries, now + delay)))
            }
        }
    }

    /// What follows when it has turned out that a step in doubt did not happen: what would have followed if its last error had said
    /// so. A person's word lets it start afresh, unless another attempt cannot help.
    func afterNothingHappened(to step: StepOperation, isPerson: Bool, now: Timestamp, random: Double) -> Continuation {
        let policy = step.request.policy.retry
        switch step.doubt?.cause {
        case .nonRetryable:
            return step.family == .undo ? .deadLetter : .failure
        case .noAnswer, .exhausted:
            let tries = step.failedAttempts - step.forgivenAttempts
            if let most = policy.maximumAttempts, tries >= most {
                if policy.exhaustion == .thenThrow { return .failure }
                return isPerson ? .atOnce : .deadLetter
            }
            return isPerson ? .atOnce : .backingOff(until: now + policy.delay(afterAttempt: tries, random: random))
        default:
            return .atOnce
        }
    }

    private mutating func probeLater(_ step: StepOperation, at time: Timestamp) {
        move(step.id, to: .inDoubt)
        steps[step.id]?.doubt?.probeAt = time
        enqueue(step.id)
    }

    // MARK: Business keys

    private mutating func draft(_ holder: BusinessKeyRecord, of step: StepOperation, into drafts: inout Drafts) {
        let digest = SaltedDigest.hex(salt: [], canonicalBytes: step.request.input)
        if holder.outcome == .free {
            // Nobody holds it any more: it is taken with the generation that it has now.
            steps[step.id]?.keyGeneration = holder.generation
            stopAwaitingKey(step)
            enqueue(step.id)
        } else if holder.inputDigest != digest, !Mutant.isOn("ignore the digest of a key's input") {
            let message =
                "the key '\(holder.key.key)' of step '\(holder.key.step)' was used by run \(holder.holder) with another input; "
                + "use another key, or the same input"
            drafts.events.append(failed(step, AttemptFailure(typeName: "", message: message), code: StepFailure.keyConflict))
        } else if case .happened(let output) = holder.outcome, let problem = step.request.refusesOutput(output) {
            let message =
                "the key '\(holder.key.key)' of step '\(holder.key.step)' was used by run \(holder.holder), whose outcome is of "
                + "another type: \(problem)"
            drafts.events.append(failed(step, AttemptFailure(typeName: "", message: message), code: StepFailure.keyConflict))
        } else if case .happened(let output) = holder.outcome {
            drafts.events.append(adopted(step, output, from: holder.holder))
        } else if step.phase != .awaitingKey {
            move(step.id, to: .awaitingKey)
            enqueue(step.id)
        }
    }

    /// Back to where the step stood before the key was refused.
    mutating func stopAwaitingKey(_ step: StepOperation) {
        guard step.phase == .awaitingKey else { return }
        let isApproved = step.request.approval != nil && !step.isApprovalConsumed && !step.isToBeDoubted
        move(step.id, to: isApproved ? .approved : .released)
        enqueue(step.id)
    }
}
