import CoreMetrics
import DequeModule
import Foundation
package import Logging
import Perdure
import PerdureHistory
package import PerdureStore
import Synchronization

/// One run in memory: its machine, its code at some point between two waits, and what is under way on its behalf.
///
/// Everything happens on one engine thread at a time (`process`). Other threads only leave mail. While the code runs it calls back
/// on that same thread (see `Activation+Host.swift`), so the lock is taken for moments and never held across the code.
package final class Activation: Sendable {
    /// What other threads have to say.
    enum Mail: Sendable {
        /// A part of the stored history; who reads it waits for the receipt.
        case history([Event], Receipt? = nil)
        /// The stored history is complete; these inbox rows are unread, or were when the inbox began to be read.
        case caughtUp(isTakeover: Bool, ReadInbox)
        /// The run was claimed again while its activation was still in memory.
        case claimed(ClaimedRun)
        case committed(CommitResult?)
        /// A step's work in a transaction of the store has ended; nil if nobody will know how.
        case transacted(OperationID, TransactionResult?, AttemptOutcome?)
        /// What came about outside; with the number of the body whose end it is, if it is one.
        case fact(Fact, at: Timestamp, body: Int64? = nil)
        case rows([InboxRow])
        /// The inbox, because something is due or there was more in it than is read at once.
        case inbox(ReadInbox)
        /// The run was watched long enough.
        case survived
        /// The store knows that the run waits for a business key, or says that there is nobody to wait for.
        case keyAwaited(OperationID, BusinessKeyRecord?)
        /// A resource lets an attempt begin, or has it ask again.
        case resourceAnswered(OperationID, ResourceGate.Ticket, mayBegin: Bool)
        case wake
        case leave
        /// The engine shuts down and does not wait for bodies any longer.
        case handOver
    }

    /// A batch on its way to the store.
    struct InFlight {
        var events: [Event]
        var head: ChainHead
        var facts: [(at: Timestamp, fact: Fact)]
        var takes: [BusinessKeyTake]
        var consumed: [Int64] = []
        var startedRuns = 0
        /// Whether other runs have something to do because of it.
        var tellsOthers = false
        var transition: RunTransition?
        /// Whether the run leaves memory with it.
        var standsDown = false
        /// Whether it ends a reset: nothing of it is for this activation's code.
        var rewinds = false
    }

    struct Body {
        let number: Int64
        let task: Task<Void, Never>
        let host: AttemptHost
        let subject: String
        let attempt: Int
        let deadline: Timestamp
        /// How long it may go without a heartbeat.
        let silence: Duration?
        var isStopped = false
        /// When its silence had become too long.
        var stoppedAt: Timestamp?
        /// That it does not end has been said.
        var isReported = false
    }

    /// What an attempt has asked for before it begins.
    struct Admission {
        let resource: String
        let ticket: ResourceGate.Ticket
    }

    struct State {
        var machine: RunMachine
        var identities = IdentityTable()
        var head: ChainHead
        var epoch: Int64
        var isOwned = true
        /// The code gets nothing any more, and nothing it does counts.
        var isClosed = false
        var mustHandOver = false
        /// It stands in for the code, and something else is to be done with the run.
        var mustStandDown = false
        /// Its owner died, and it has not got as far again as it was then.
        var isRecovering = false
        var failure: Divergence?
        var callsAfterEnd = CallsAfterEnd()

        var mailbox = Deque<Mail>()
        var isScheduled = false
        var facts: [(at: Timestamp, fact: Fact)] = []
        /// Facts that wait because the run is to stand still.
        var heldFacts: [(at: Timestamp, fact: Fact)] = []
        var knownRows: Set<Int64> = []
        /// Rows that are in history: news of them may be late.
        var consumedRows: Set<Int64> = []
        var inFlight: InFlight?
        var scheduledWake: Timestamp?
        /// Every message that was accepted before this time is known.
        var inboxReadAt = Timestamp.distantPast
        /// What has come due and waits for the inbox: messages that were accepted before count first.
        var heldDues: [(at: Timestamp, fact: Fact)] = []
        var isReadingInbox = false
        /// The store has messages behind those that are known. They are read when these are in history.
        var hasMoreRows = false
        /// Something came and was left in the store since the inbox began to be read.
        var hasLeftNews = false

        var root: Task<Void, Never>?
        var calls = OperationTable<StepCall>()
        var waiting = OperationTable<UnsafeContinuation<Answer?, Never>>()
        var ready = OperationTable<Answer>()
        var bodies: [OperationID: Body] = [:]
        /// Probes that a person has overtaken and that have not ended, by their numbers: their operations may have other bodies by now.
        var strays: [Int64: Body] = [:]
        /// Waits for business keys that the store has not been told of yet. Until it has, nothing would wake the run.
        var untoldWaits: Set<OperationID> = []
        /// Attempts that were let through, or wait to be, by their resources, and have not begun.
        var admissions: [OperationID: Admission] = [:]
    }

    package let number: Int64
    package let identity: RunIdentity
    /// The run's id as text, which goes into every hash of its history.
    let runText: String
    /// The first run of the chain that this one is part of.
    let chain: RunOrigin
    let workflow: RegisteredWorkflow
    /// Given where the run is here without its code, to undo something.
    let duty: StandInDuty?
    let services: ActivationServices
    let quiet = QuietLogHandler.Switch()
    package let logger: Logger
    let executor: RunExecutor
    /// Tells when the next thing is due while the run is owned. One that only waits has none.
    let alarm: Scheduler.Alarm
    let state: Mutex<State>

    /// - Parameters:
    ///   - patches: The changes of the code that the stored history says the run follows.
    ///   - resets: What the resets in it pass over.
    ///   - isOwned: Without it the history can be fed, and nothing is recorded or begun.
    package init(
        _ claim: ClaimedRun, workflow: RegisteredWorkflow, patches: [String] = [], resets: [ResetSpan] = [],
        services: ActivationServices, isOwned: Bool = true, duty: StandInDuty? = nil
    ) {
        let record = claim.record
        number = record.number
        identity = RunIdentity(record)
        runText = record.id.description
        chain = record.chain
        self.workflow = workflow
        self.duty = duty
        self.services = services
        alarm = services.scheduler.makeAlarm()
        let machine = RunMachine(
            identity: identity, build: services.build, node: services.node.rawValue, storedSeq: claim.head.seq,
            isFirstOwner: record.epoch == 1, patches: patches, resets: resets, hasOwner: workflow.owner != nil,
            standIn: duty.map { StandIn(steps: $0.steps) })
        state = Mutex(State(machine: machine, head: claim.head, epoch: record.epoch, isOwned: isOwned))
        // Nobody has run a run of the first epoch before: nothing of it is a repetition.
        if record.epoch == 1, isOwned { quiet.turn(on: true) }
        let isLive = quiet
        var logger = services.logger
        logger.handler = QuietLogHandler(logger.handler) { isLive.isLive }
        logger[metadataKey: "run"] = .string(runText)
        logger[metadataKey: "workflow"] = "\(record.workflow)"
        self.logger = logger
        let wake = WeakActivation()
        executor = RunExecutor { _ in wake.value?.post(.wake) }
        wake.value = self
    }

    /// Leaves mail and makes sure that an engine thread comes to read it.
    func post(_ mail: Mail) {
        let mustSchedule = state.withLock { state in
            state.mailbox.append(mail)
            if state.isScheduled { return false }
            state.isScheduled = true
            return true
        }
        if mustSchedule { services.threads.submit { [self] in process() } }
    }

    /// Reads the mail, then lets the run go on as far as it can.
    private func process() {
        services.watchdog.watch(runText) {
            while let mail = nextMail() { handle(mail) }
        }
    }

    /// The next piece of mail; when there is none, the run takes a step of its own; when there is none of these either, it rests.
    private func nextMail() -> Mail? {
        while true {
            let mail = state.withLock { state in state.mailbox.popFirst() }
            if let mail { return mail }
            cycle()
            let rests = state.withLock { state in
                if state.mailbox.isEmpty { state.isScheduled = false }
                return !state.isScheduled
            }
            if rests { return nil }
        }
    }

    private func handle(_ mail: Mail) {
        switch mail {
        case .history(let events, let receipt):
            let goesOn = events.allSatisfy { feed($0) }
            receipt?.give(goesOn)
        case .caughtUp(let isTakeover, let inbox):
            let now = services.clock.now()
            state.withLock { state in
                guard !state.isClosed else { return }
                state.machine.caughtUp(isTakeover: isTakeover, now: now)
                state.isRecovering = isTakeover
                if let duty { state.notice(inbox.rows, duty) } else { state.take(inbox) }
            }
            quiet.turn(on: true)
        case .claimed(let claim): claimed(claim)
        case .committed(let result): committed(result)
        case .transacted(let id, let result, let outcome): transacted(id, result, outcome)
        case .fact(let fact, let time, let body):
            state.withLock { state in
                if let body, let operation = fact.endedBody { state.forget(body, of: operation) }
                state.facts.append((time, fact))
            }
        case .rows(let rows):
            let isOwned = state.withLock { state in
                if let duty {
                    state.notice(rows, duty)
                } else {
                    state.takeNews(rows)
                    state.forgetConsumedRows(below: rows)
                }
                return state.isOwned
            }
            // The run was given up while the message was on its way: somebody has to claim it again.
            if !isOwned { services.observe(self, .missedMail) }
        case .inbox(let inbox):
            state.withLock { state in
                state.isReadingInbox = false
                state.take(inbox)
            }
        case .survived:
            state.withLock { if $0.isOwned { $0.facts.append((services.clock.now(), .survived)) } }
        case .keyAwaited(let id, let holder):
            state.withLock { state in
                state.untoldWaits.remove(id)
                if let holder { state.facts.append((services.clock.now(), .keyHeld(id, holder))) }
            }
        case .resourceAnswered(let id, let ticket, let mayBegin): resourceAnswered(id, ticket, mayBegin: mayBegin)
        case .wake: state.withLock { $0.scheduledWake = nil }
        case .leave: leave()
        case .handOver: state.withLock { $0.mustHandOver = true }
        }
    }

    private func claimed(_ claim: ClaimedRun) {
        let isClosed = state.withLock { state in
            guard !state.isClosed else { return true }
            state.isOwned = true
            state.epoch = claim.record.epoch
            // Only what is unread now counts; what was seen before may have been read under another owner.
            state.facts.removeAll { $0.fact.row != nil }
            state.heldFacts.removeAll { $0.fact.row != nil }
            state.knownRows = []
            state.consumedRows = []
            state.inboxReadAt = .distantPast
            // The inbox is read from here on, so that nothing falls between what was read and the news that comes meanwhile.
            state.hasMoreRows = true
            state.hasLeftNews = false
            return false
        }
        // It left memory while the claim was on its way: the run is read anew.
        if isClosed { services.observe(self, .lost) }
    }

    // MARK: Feeding

    /// Feeds one durable event and lets the code run until it rests. Returns whether the run can go on.
    @discardableResult
    func feed(_ event: Event) -> Bool {
        let fed = state.withLock {
            state -> Result<(answers: [(id: OperationID, answer: Answer)], cancelsRoot: Bool, strays: [Body]), Divergence>? in
            guard !state.isClosed else { return nil }
            do throws(Divergence) {
                try state.machine.feed(event)
                defer { state.machine.rootShouldCancel = false }
                return .success((state.machine.takeAnswers(), state.machine.rootShouldCancel, state.setStraysAside()))
            } catch {
                return .failure(error)
            }
        }
        switch fed {
        case nil: return false
        case .failure(let divergence):
            block(divergence)
            return false
        case .success(let (answers, cancelsRoot, strays)):
            for probe in strays { probe.cancel() }
            executor.drain {
                if event.kind == .runStarted, duty == nil { startRoot(event) }
                for (id, answer) in answers { deliver(answer, to: id) }
                if cancelsRoot { state.withLock { $0.root }?.cancel() }
            }
            return rested()
        }
    }

    /// The code is at rest. What it did is looked at before anything of it counts.
    private func rested() -> Bool {
        if executor.takeForeignEnqueue() { noteForeignWait() }
        let failure = state.withLock { state -> Divergence? in
            state.machine.rest()
            return state.failure
        }
        guard let failure else { return true }
        block(failure)
        return false
    }

    /// A reason to stop that came about while the code was at rest.
    func lateFailure() -> Divergence? {
        if executor.takeForeignEnqueue() { noteForeignWait() }
        return state.withLock { $0.isClosed ? nil : $0.failure }
    }

    private func noteForeignWait() {
        note(
            Divergence(
                .foreignWait, subject: "",
                message:
                    "The workflow awaits something outside the run: a sleep of Swift's, another task, a busy actor. Replays cannot "
                    + "repeat that. Do it inside 'read', 'step' or 'act', and wait with the context's 'sleep', 'signal' or 'ask'."
            ))
    }

    /// Remembers the first reason why this activation cannot go on.
    func note(_ divergence: Divergence) {
        state.withLock { if $0.failure == nil { $0.failure = divergence } }
    }

    // MARK: The root task

    /// Starts the workflow's code. Called while draining.
    private func startRoot(_ started: Event) {
        guard case .inline(let bytes)? = started.input else {
            return note(Divergence(.unreadable, subject: "", message: "Event \(started.seq) has no input that can be read here."))
        }
        let input = Payload(bytes: bytes)
        let code: RegisteredWorkflow.Code
        do {
            code = try workflow.code(input)
        } catch {
            return note(Divergence(.mismatch, subject: "", message: "\(error) \(Divergence.waysOut)"))
        }
        let task = Task(executorPreference: executor) { [self] in await runRoot(code) }
        state.withLock { $0.root = task }
    }

    private func runRoot(_ code: RegisteredWorkflow.Code) async {
        var result: RunMachine.RootResult
        do {
            result = .completed(try await code(WorkflowContext(host: self), services.payloadLimit).bytes)
        } catch {
            do {
                try await unwind("")
            } catch {
                return  // taken out of memory
            }
            result = Self.result(of: error)
        }
        state.withLock { state in
            guard !state.isClosed else { return }
            // That is decided already, whatever the code has made of it.
            if state.machine.isBeingContinued { result = .continued }
            state.machine.finish(result)
        }
    }

    private static func result(of error: any Error) -> RunMachine.RootResult {
        switch error {
        case is CancellationError: .cancelled
        case let failure as StepFailure: .failed(failure)
        case let error as PayloadError: .failed(StepFailure(code: PerdureError(error).code.rawValue, message: "\(error)"))
        default:
            .failed(
                StepFailure(
                    code: StepFailure.workflowFailed, typeName: "\(type(of: error))", message: "\(error)",
                    payload: (error as? any Error & Encodable).flatMap {
                        try? Payload.encode($0, limit: 64 * 1_024, what: "an error")
                    }
                    .map { Data($0.bytes) }))
        }
    }

    // MARK: Leaving memory

    /// Takes the code out of memory: every wait throws, and whatever the code does from here on is ignored.
    func closeCode() {
        quiet.turn(on: false)
        giveBackAllAdmissions()
        services.scheduler.switchOff(alarm)
        let (root, waiting) = state.withLock { state -> (Task<Void, Never>?, [UnsafeContinuation<Answer?, Never>]) in
            state.isClosed = true
            defer {
                state.waiting = OperationTable()
                state.ready = OperationTable()
                state.calls = OperationTable()
                state.root = nil
            }
            return (state.root, state.waiting.sorted { $0.key < $1.key }.map(\.value))
        }
        executor.drain {
            root?.cancel()
            for continuation in waiting { continuation.resume(returning: nil) }
        }
        if state.withLock({ $0.callsAfterEnd.isTooMany }) {
            services.metrics.swallowedEvictions.increment()
            services.logger.warning(
                "a workflow swallows cancellation in a loop; its code stays in memory",
                metadata: ["run": "\(identity.id)", "workflow": "\(identity.workflow)"])
        }
    }

    private func leave() {
        guard !state.withLock({ $0.isClosed }) else { return }
        closeCode()
        stopBodies()
        services.observe(self, .gone)
    }
}

/// Lets the executor's handler reach the activation that owns it.
private final class WeakActivation: Sendable {
    private struct Reference { weak var value: Activation? }
    private let reference = Mutex(Reference())
    var value: Activation? {
        get { reference.withLock { $0.value } }
        set { reference.withLock { $0.value = newValue } }
    }
}

/// Calls of code that gets nothing any more, since the run leaves memory or is being continued.
struct CallsAfterEnd {
    /// For a task, and for all tasks together: there may be many, and code may make another one for each call.
    private static let limit = 100, limitOfAll = 100_000
    private var counts: [UInt64: Int] = [:]
    private var all = 0
    private(set) var isTooMany = false

    /// Returns whether the task calls for ever, as far as one can tell.
    mutating func add(of task: UInt64) -> Bool {
        counts[task, default: 0] += 1
        all += 1
        let isEndless = counts[task, default: 0] > Self.limit || all > Self.limitOfAll
        if isEndless { isTooMany = true }
        return isEndless
    }
}

extension Activation.State {
    /// The body has ended.
    mutating func forget(_ body: Int64, of operation: OperationID) {
        if bodies[operation]?.number == body { bodies[operation] = nil } else { strays[body] = nil }
    }

    /// Keeps what is told to stop because a person has answered in its place where the next body of its step does not push it out: the run
    /// waits until it has ended. Returns what was not kept there before.
    mutating func setStraysAside() -> [Activation.Body] {
        machine.takeOvertakenProbes().compactMap { id in
            guard var probe = bodies.removeValue(forKey: id) else { return nil }
            probe.isStopped = true
            strays[probe.number] = probe
            return probe
        }
    }

    /// When the next look at a body is due, if none has ended by then.
    var looksAtBodiesAt: Timestamp? {
        (bodies.values.compactMap(\.looksAgainAt) + strays.values.compactMap(\.looksAgainAt)).min()
    }

    /// Whether something is under way in this process that the run has to stay in memory for.
    var isBusy: Bool { isAtWork || hasMoreRows }

    /// The same, but for messages that are still to be read.
    var isAtWork: Bool { machine.isBusy || !untoldWaits.isEmpty || !admissions.isEmpty || !heldDues.isEmpty }
}
