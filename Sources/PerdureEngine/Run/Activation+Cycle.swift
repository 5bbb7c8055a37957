import CoreMetrics
import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// From facts and plans to commits, and back to the code.
extension Activation {
    /// What a cycle came to.
    private enum Step {
        case nothing
        case commit(RunAdvance)
        case act([RunAction])
        case rest(isStalled: Bool, RunTransition?)
        case standDown(RunTransition, consuming: [Int64])
        case block(Divergence)
    }

    /// Takes what has gathered and what the operations need, and commits it; or starts what may start; or gives the run up.
    func cycle() {
        let now = services.clock.now()
        giveBackUnusedAdmissions()
        if let failure = lateFailure() { return block(failure) }
        if handOver(now: now) { return }
        stopOverdueBodies(now: now)
        let step = state.withLock { next(&$0, now: now) }
        readInboxIfDue()
        switch step {
        case .nothing:
            return
        case .commit(let advance):
            submit(advance)
        case .act(let actions):
            for action in actions { perform(action, now: now) }
            noteRecovery()
            // What was started ends by mail. What was not (a body told to stop) leaves nothing to wait for.
            if state.withLock({ !$0.isAtWork }) { return cycle() }
            scheduleWake()
        case .rest(isStalled: true, _):
            noteStall()
        case .rest(_, let transition?):
            noteRecovery()
            release(transition)
        case .standDown(let transition, let rows):
            release(transition, consuming: rows, standsDown: true)
        case .rest(_, nil):
            noteRecovery()
            // A message that is kept for later is out of the way now: the run can be handed over.
            if !handOver(now: now) { scheduleWake() }
        case .block(let divergence):
            block(divergence)
        }
    }

    /// What was outstanding when the owner before died is under way again, or waits.
    private func noteRecovery() {
        let isNews = state.withLock { state in
            defer { state.isRecovering = false }
            return state.isRecovering
        }
        if isNews { services.recovery.moves(number) }
    }

    private func noteStall() {
        if state.withLock({ $0.machine.isBeingContinued }) {
            return block(
                Divergence(
                    .foreignWait, subject: "",
                    message:
                        "The workflow has asked to be continued and does not come to its end: it swallows the error of 'continueAsNew' in a "
                        + "loop. Let it through."))
        }
        block(
            Divergence(
                .foreignWait, subject: "",
                message:
                    "The workflow waits, but for nothing that is recorded, so nothing could ever wake it. Wait with the context's "
                    + "'sleep', 'signal' or 'ask', and do work of the outside inside 'read', 'step' or 'act'."))
    }

    private func next(_ state: inout State, now: Timestamp) -> Step {
        guard !state.isClosed, state.isOwned, state.inFlight == nil, !state.machine.isReplaying else { return .nothing }
        let (facts, factDrafts) = takeFacts(&state, now: now)
        state.machine.isEnding = services.lead.isOver
        var plan = state.machine.plan(now: now)
        // A run that is about to be handed over starts nothing any more. It may end.
        let ends = plan.drafts.events.last?.kind.isFinal == true
        if state.mustHandOver || state.mustStandDown, !ends { plan = Plan() }
        // Nor does it end while there are messages that it has not taken in.
        if state.hasMoreRows, ends { plan = Plan() }
        var drafts = factDrafts
        drafts.append(plan.drafts)
        if plan.rewinds { drafts.consumed += duty?.held ?? [] }
        if drafts.isEmpty {
            if !plan.actions.isEmpty { return .act(plan.actions) }
            if let duty { return restOfDuty(duty, &state, now: now) }
            // What is under way comes to its end first: its outcome is known then, and would have to be doubted otherwise.
            if let obstacle = plan.obstacle, !state.isBusy { return .block(obstacle) }
            if state.machine.isEnding, !plan.deferred.isEmpty, !state.isBusy {
                state.mustHandOver = true
                return .rest(isStalled: false, nil)
            }
            if state.machine.isStalled { return .rest(isStalled: true, nil) }
            if state.isBusy { return .rest(isStalled: false, nil) }
            if state.machine.isWatched { return nextAfterSurvival(&state, now: now) }
            let transition = restTransition(&state, newDues: [])
            return .rest(isStalled: false, services.lead.covers(transition.wakeAt, now: now) ? nil : transition)
        }
        var head = state.head
        let events = head.append(contentsOf: drafts.events, run: runText, now: now)
        let children = drafts.children.map { newRun($0, in: state.epoch, now: now) }
        let successor = drafts.successor.map { newRun($0, in: state.epoch, now: now) }
        let transition = transition(after: drafts.events, hasFacts: !factDrafts.isEmpty, plan: plan, &state, now: now)
        state.inFlight = InFlight(
            events: events, head: head, facts: facts, takes: drafts.takes, consumed: drafts.consumed,
            startedRuns: children.count + (successor == nil ? 0 : 1),
            tellsOthers: !drafts.settles.isEmpty || !drafts.deliveries.isEmpty || !children.isEmpty || successor != nil,
            transition: transition,
            standsDown: plan.transition != nil, rewinds: plan.rewinds)
        return .commit(
            RunAdvance(
                run: number, epoch: state.epoch, head: state.head, events: events, transition: transition,
                consumed: drafts.consumed,
                takes: drafts.takes, settles: drafts.settles, children: children, deliveries: drafts.deliveries,
                successor: successor))
    }

    /// Whoever comes to rest has done its process no harm.
    private func nextAfterSurvival(_ state: inout State, now: Timestamp) -> Step {
        state.facts.append((now, .survived))
        return next(&state, now: now)
    }

    /// Without the code a run is never kept in memory but for what is to be undone: nobody else would come for it in time.
    private func restOfDuty(_ duty: StandInDuty, _ state: inout State, now: Timestamp) -> Step {
        // If the engine ends, or a message has come, whoever takes the run next goes on where history stands.
        let isDone = state.machine.isDoneStandingIn, isWanted = state.mustStandDown || services.lead.isOver
        if state.isBusy || !isDone && !isWanted { return .rest(isStalled: false, nil) }
        if state.machine.isWatched { return nextAfterSurvival(&state, now: now) }
        guard isDone else { return .standDown(duty.home, consuming: []) }
        var transition = duty.home
        if state.machine.isStuck, [.ready, .waiting, .parked].contains(transition.state) {
            transition = RunTransition(to: .parked, wakeAt: duty.home.wakeAt, note: state.machine.stuckReason)
        }
        return .standDown(transition, consuming: duty.held)
    }

    /// Turns the facts that have gathered into drafts, in the order of their causes; of several about one operation the first.
    private func takeFacts(_ state: inout State, now: Timestamp) -> ([(at: Timestamp, fact: Fact)], Drafts) {
        if !state.machine.isHolding, !state.heldFacts.isEmpty {
            state.facts = state.heldFacts + state.facts
            state.heldFacts = []
        }
        state.takeDues(now: now)
        guard !state.facts.isEmpty else { return ([], Drafts()) }
        var ordered = state.facts
        if ordered.count > 1 {
            ordered = ordered.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
        }
        state.facts = []
        var taken: [(at: Timestamp, fact: Fact)] = [], drafts = Drafts(), touched: Set<OperationID> = []
        for (at, fact) in ordered {
            if state.machine.holds(fact) {
                state.heldFacts.append((at, fact))
                continue
            }
            if state.machine.operation(of: fact).map({ !touched.insert($0).inserted }) == true {
                state.facts.append((at, fact))
                continue
            }
            let random = Double(services.random() >> 11) * 0x1p-53
            drafts.append(state.machine.drafts(for: fact, now: now, random: random))
            taken.append((at, fact))
        }
        return (taken, drafts)
    }

    /// How the run's row changes with this commit.
    private func transition(
        after drafts: [EventDraft], hasFacts: Bool, plan: Plan, _ state: inout State, now: Timestamp
    ) -> RunTransition? {
        if let last = drafts.last, let final = RunState(final: last.kind) { return RunTransition(to: final) }
        if let transition = plan.transition { return transition }
        if duty != nil { return nil }
        guard !hasFacts, !plan.defersActions, !state.isBusy, !state.machine.hasFinishedRoot,
            plan.drafts.events.allSatisfy(Self.wakesNothing)
        else { return nil }
        let dues = plan.drafts.events.compactMap {
            (try? $0.attributes.timestamp("due")) ?? (try? $0.attributes.timestamp("expires_at"))
        }
        let isParked = plan.drafts.events.contains { $0.kind == .runParked }
        let transition = restTransition(&state, newDues: dues, isParked: isParked)
        return services.lead.covers(transition.wakeAt, now: now) ? nil : transition
    }

    private func restTransition(_ state: inout State, newDues: [Timestamp], isParked: Bool = false) -> RunTransition {
        let wakeAt = ([state.machine.nextDue()].compactMap { $0 } + newDues).min()
        if isParked || state.machine.isStuck {
            return RunTransition(to: .parked, wakeAt: wakeAt, note: state.machine.stuckReason)
        }
        return RunTransition(to: .waiting, wakeAt: wakeAt, note: state.machine.holdReason)
    }

    /// Events that only record what the run waits for: feeding them starts nothing.
    private static func wakesNothing(_ event: EventDraft) -> Bool {
        switch event.kind {
        case .timerStarted, .approvalRequested, .questionAsked, .runParked, .childCancelRequested: true
        // Nobody waits for the end of a detached one: the code goes on.
        case .childStarted: (try? event.attributes.object().has("detached")) == false
        default: false
        }
    }

    private func release(_ transition: RunTransition, consuming rows: [Int64] = [], standsDown: Bool = false) {
        let advance = state.withLock { state -> RunAdvance? in
            guard state.inFlight == nil, state.isOwned, !state.isClosed else { return nil }
            state.inFlight = InFlight(
                events: [], head: state.head, facts: [], takes: [], consumed: rows, transition: transition, standsDown: standsDown
            )
            return RunAdvance(
                run: number, epoch: state.epoch, head: state.head, events: [], transition: transition, consumed: rows)
        }
        if let advance { submit(advance) }
    }

    private func submit(_ advance: RunAdvance) {
        services.bodyWatch?.willCommit(advance) { transitions(of: advance.events) }
        let isEarly = Mutant.isOn("acknowledge before the commit")
        if isEarly { post(.committed(.advanced)) }
        // This thread comes by the journal between two runs.
        services.journal.submit(.advance(advance), wakesWriter: false) { [self] result in
            if !isEarly { post(.committed(result)) }
        }
    }

    /// What the machine will go through because of these, which nobody has fed yet.
    private func transitions(of events: [Event]) -> MachineTransitions {
        var machine = state.withLock { $0.machine }
        (machine.trace, machine.childTrace) = ([], [])
        for event in events {
            do throws(Divergence) { try machine.feed(event) } catch { break }
        }
        return MachineTransitions(steps: machine.trace ?? [], children: machine.childTrace ?? [])
    }

    // MARK: Coming back from the store

    func committed(_ result: CommitResult?) {
        let (taken, isClosed) = state.withLock { state in
            defer { state.inFlight = nil }
            return (state.inFlight, state.isClosed)
        }
        guard let batch = taken else { return }
        if case .advanced? = result { tellReplies(in: batch.events) }
        if isClosed {
            // It was taken out of memory meanwhile, and may be in memory again: only the end of the run still matters to anybody.
            if case .advanced? = result, let end = batch.transition?.state, end.isFinal, let last = batch.events.last {
                services.observe(self, .closed(end, last, atFirstAttempt: isAtFirstAttempt(with: batch.events)))
            }
            return
        }
        switch result {
        case .advanced:
            services.metrics.events.increment(by: batch.events.count)
            services.report.tell(batch.events, of: identity.id, workflow: identity.workflow)
            advanced(batch)
        case .refused(let refusal):
            refused(refusal, batch)
        case .created, .keyTaken, .delivered, .scheduled, nil:
            closeCode()
            stopBodies()
            services.observe(self, .gone)
        }
    }

    /// - Parameter events: The last ones, fed or not.
    private func isAtFirstAttempt(with events: [Event]) -> Bool {
        !state.withLock { $0.machine.hasFailedAttempts } && events.allSatisfy { $0.failedAttempt == nil }
    }

    private func tellReplies(in events: [Event]) {
        let updates = events.filter(\.kind.isReply).map(\.subject)
        if !updates.isEmpty { services.observe(self, .replied(updates)) }
    }

    private func advanced(_ batch: InFlight) {
        let (epoch, wasWatched) = state.withLock { state in
            state.head = batch.head
            state.consumedRows.formUnion(batch.consumed)
            state.knownRows.subtract(batch.consumed)
            if batch.transition != nil { state.isOwned = false }
            return (state.epoch, state.machine.isWatched)
        }
        if batch.startedRuns > 0 { services.metrics.started.increment(by: batch.startedRuns) }
        // Nobody else says so: the store's own bell tells of other processes only.
        if batch.tellsOthers { services.observe(self, .toldOthers) }
        if !batch.rewinds { for event in batch.events where !feed(event) { break } }
        if wasWatched, state.withLock({ !$0.machine.isWatched }) { services.observe(self, .harmless) }
        guard let transition = batch.transition else { return }
        if let last = batch.events.last, transition.state.isFinal {
            closeCode()
            stopBodies()
            services.observe(self, .closed(transition.state, last, atFirstAttempt: isAtFirstAttempt(with: batch.events)))
        } else if batch.standsDown {
            closeCode()
            // It goes on from its earlier point at once.
            if batch.rewinds { services.recovery.moves(number) }
            services.observe(self, .stoodDown)
        } else {
            forgetWake()
            // What came in meanwhile is in the store still, and will be read again by whoever claims the run.
            let missedMail = state.withLock { state in
                defer { state.facts = [] }
                return !state.facts.isEmpty
            }
            services.observe(self, .released(epoch: epoch, wakeAt: transition.wakeAt))
            if missedMail { services.observe(self, .missedMail) }
        }
    }

    private func refused(_ refusal: CommitRefusal, _ batch: InFlight) {
        switch refusal {
        case .unreadInbox(let page):
            state.withLock { state in
                state.facts = batch.facts + state.facts
                state.take(page)
            }
        case .businessKeyTaken(let record):
            state.withLock { state in
                state.facts = batch.facts + state.facts
                guard let take = batch.takes.first(where: { $0.key == record.key }),
                    let id = state.machine.operation(taking: take)
                else {
                    return
                }
                state.facts.append((services.clock.now(), .keyHeld(id, record)))
            }
        case .invalid(let reason):
            state.withLock { $0.facts = batch.facts + $0.facts }
            block(
                Divergence(.valueRefused, subject: "", message: "The store cannot hold what the run wants to record: \(reason)."))
        case .conflict, .runUnknown, .runClosed, .deliveryIDTaken, .queueUnknown, .quotaExceeded, .mayHaveBegun:
            services.logger.notice(
                "another owner has moved the run on", metadata: ["run": "\(identity.id)", "refusal": "\(refusal)"])
            closeCode()
            stopBodies()
            services.observe(self, .lost)
        }
    }

    // MARK: Handing over

    /// Gives the run up although bodies are being executed, if the engine asks for it. What they may have done is committed as intents
    /// first. Returns whether the run is given up.
    private func handOver(now: Timestamp) -> Bool {
        let advance = state.withLock { state -> RunAdvance? in
            // What has ended meanwhile is recorded first: its outcome is known, and would be in doubt otherwise.
            guard state.mustHandOver, !state.isClosed, state.isOwned, state.inFlight == nil, state.facts.isEmpty else {
                return nil
            }
            var head = state.head
            let drafts = state.machine.handOverDrafts(now: now)
            let events = head.append(contentsOf: drafts, run: identity.id.description, now: now)
            return RunAdvance(
                run: number, epoch: state.epoch, head: state.head, events: events,
                transition: duty?.home ?? RunTransition(to: .ready))
        }
        guard let advance else { return false }
        closeCode()
        stopBodies()
        services.journal.submit(.advance(advance)) { [self] _ in services.observe(self, duty == nil ? .gone : .stoodDown) }
        return true
    }

    // MARK: Messages before what is due

    /// A decision that was accepted before an expiry counts, also if the run has not heard of it: what is due waits until the inbox was
    /// read after its time.
    private func readInboxIfDue() {
        let mustRead = state.withLock { state in
            guard state.needsInbox else { return false }
            state.isReadingInbox = true
            state.hasLeftNews = false
            return true
        }
        if mustRead { services.inboxes.ask(for: self) }
    }

    // MARK: Time

    /// Asks to be woken when the next thing is due.
    private func scheduleWake() {
        let wake = state.withLock { state -> Timestamp? in
            guard let next = [state.machine.nextDue(), state.looksAtBodiesAt].compactMap({ $0 }).min() else { return nil }
            if let scheduled = state.scheduledWake, scheduled <= next { return nil }
            state.scheduledWake = next
            return next
        }
        if let wake { services.scheduler.set(alarm, at: wake) { [weak self] in self?.post(.wake) } }
    }

    /// The store knows when the run is due, and nothing of it is under way.
    private func forgetWake() {
        state.withLock { $0.scheduledWake = nil }
        services.scheduler.switchOff(alarm)
    }
}

extension RunState {
    /// The state that a final event leaves the run in.
    init?(final kind: EventKind) {
        switch kind {
        case .runCompleted, .runContinued: self = .completed
        case .runFailed: self = .failed
        case .runCancelled: self = .cancelled
        case .runTerminated: self = .terminated
        default: return nil
        }
    }
}
