import DequeModule
import HeapModule
package import Perdure
package import PerdureHistory
package import PerdureStore

/// One run as a pure value: it is fed the events of the history and the requests of the code, and says what has to be recorded and
/// done. It performs nothing, waits for nothing and knows no clock but the times it is given.
///
/// The order of calls, live and on replay alike:
/// 1. `feed` one event; deliver the answers it gave; let the code run until it rests; `rest`.
/// 2. Again, until no durable event is left unfed.
/// 3. `drafts(for:)` each fact that came from outside, then `plan`: what the operations at rest need recorded, or, where nothing
///    needs to be recorded first, started.
/// 4. Commit the drafts of the facts and those of the plan, in this order; then from 1.
///
/// State changes only by feeding events, with the few exceptions of what exists in this process alone (a running body or probe, a
/// wait for a business key). Therefore a refused commit needs no repair: the facts are offered again and the next plan is made
/// from the same state. What the code is told depends on events only, never on those exceptions.
package struct RunMachine: Sendable {
    /// The version is the one that the history has come to.
    package private(set) var identity: RunIdentity
    package let build: String
    package let node: String

    // What history says of the run itself.
    package internal(set) var lastEventAt = Timestamp.epoch
    package internal(set) var isReplaying = true
    package internal(set) var isClosed = false
    package internal(set) var cancelWasRequested = false
    var starter: Principal?
    /// The run that this one is a child of, as its first event says.
    var parent: ParentLink?
    var recordedBuild = ""
    var recordedNode = ""
    var isBlockedInHistory = false
    var isParkedInHistory = false
    /// The run was brought in alone because processes died that owned it, and history does not say yet that it does no harm.
    package internal(set) var isWatched = false
    /// A `terminate` that is taken in as soon as no outcome of a step stands in the same batch.
    var termination: InboxRow?
    /// A `pause` or `repin` that is taken in as soon as nothing is under way.
    var standstill: InboxRow?
    /// The engine ends: what is under way goes on, and no step is begun any more.
    package var isEnding = false
    /// History says that the run is paused.
    package internal(set) var isPaused = false
    /// The run is given up with what was recorded last; nothing more is to be planned here.
    var hasStoodDown = false
    /// The code is not here: only what is to be undone is open.
    var standIn: StandIn?
    /// Messages that history says were heeded: whoever heeded them without the code may have left them unread.
    var heeded: Set<String> = []
    /// A reset that has begun and not been carried out yet.
    var rewinding: Rewinding?
    /// The parts of the stored history that resets pass over, and what was seen of the one that is being read.
    let resets: [ResetSpan]
    var passedOver = PassedOver()
    /// What had happened before a reset and answers again.
    var adoptable: [String: Adoptable] = [:]
    /// How often a reset has made room for a step or child to be done again; zero is left out.
    var generations: [String: Int] = [:]
    var undoneSpans: [UndoneSpan] = []
    /// Up to here the history is a copy of another run's; 0 for a run that is no fork.
    var copiedUntil: Int64 = 0
    /// Where in the history forks begin, oldest first, this run's own among them.
    var forks: [ForkOrigin.Earlier] = []
    /// A person's `abort` decides how the run ends, whatever the code makes of it.
    var verdict: StepFailure?
    var rootResult: RootResult?
    /// The code has asked for the run to be continued as another one.
    var succession: Succession?
    /// What the first event says, for a run that continues this one; labels as they were changed since.
    var key: String?
    var labels: [String: String] = [:]
    /// The place in a queue that it was started into.
    var place: QueuePlace?
    /// The first run of the chain that this one is part of.
    var firstOfChain: RunID
    /// When the run is to be cancelled, and whether that is why it was.
    var deadline: Timestamp?
    var hasPassedDeadline = false
    /// Whether any attempt of a step or undo has failed, whatever became of it.
    var hasFailedAttempts = false
    /// The seq of the last event fed, and of the last one that was stored when this activation began.
    var lastSeq: Int64 = 0
    let storedSeq: Int64
    /// What followed on an earlier part of the history may be lost, with whatever was sent meanwhile.
    var lostPart: LostPart?
    /// The last mark of a loss, whether somebody has settled it or not: what was said before it speaks of what was known then.
    package internal(set) var lossMark: LossMark?
    /// The least epoch of runs that this one makes. Settled or not: they may have been at work in the lost part.
    var firstEpoch: Int64 = 0
    /// Somebody answers for the workflow.
    let hasOwner: Bool
    /// Nobody has owned the run before.
    let isFirstOwner: Bool
    /// Which changes of the code the run follows, as far as has been asked or is recorded.
    var patches: [String: Bool]
    var patchesToRecord: [String] = []

    // Operations that are not over.
    var nextID = 0
    var steps = OperationTable<StepOperation>()
    var stepIDs: [String: OperationID] = [:]
    var undoIDs: [String: OperationID] = [:]
    var timers = OperationTable<TimerOperation>()
    var timerIDs: [String: OperationID] = [:]
    var questions = OperationTable<QuestionOperation>()
    var questionIDs: [String: OperationID] = [:]
    var notes = OperationTable<NoteOperation>()
    var noteIDs: [NoteOperation.Identity: OperationID] = [:]
    var children = OperationTable<ChildOperation>()
    var childIDs: [String: OperationID] = [:]
    var unwindings: [OperationID: Unwinding] = [:]
    var signalWaits: [String: Deque<OperationID>] = [:]
    var signalWaitNames: [OperationID: String] = [:]
    var signalBuffer: [String: Deque<BufferedSignal>] = [:]
    var updates = UpdateQueue()

    /// Steps that happened and can be undone, oldest first.
    var completed: [CompletedStep] = []
    /// Operations asked for since the last rest.
    var requestedSinceRest: [OperationID] = []
    /// Operations that the next plan has to look at.
    var queue: [OperationID] = []
    var dues = Heap<Due>()
    var busyCount = 0
    /// Probes that still run although a person has answered before them. Their answers no longer count.
    var strayProbes: Set<OperationID> = []
    /// Those of them that have not been told to stop.
    var overtakenProbes: [OperationID] = []
    /// Steps that were let through by their resource and have taken another way.
    package var admissionsGivenUp: [OperationID] = []
    /// Bodies that still run although their step is over.
    var bodiesToStop: [OperationID] = []
    /// What the facts of the batch in the making speak of; forgotten when `plan` closes the batch.
    var batch = Batch()
    /// Answers that the code has not been given yet, in order.
    package var answers: [(id: OperationID, answer: Answer)] = []
    /// Whether the root task is to be cancelled before the next drain.
    package var rootShouldCancel = false
    /// Transitions taken, if somebody wants to know.
    package var trace: Set<StepTransition>?
    package var childTrace: Set<ChildTransition>?

    /// - Parameters:
    ///   - storedSeq: The last event of the stored history; 0 for a run that begins here.
    ///   - patches: The subjects of the `version.patched` events in it.
    ///   - resets: What its resets pass over.
    ///   - hasOwner: Whether the workflow names who answers for it.
    ///   - standIn: Given where the code is not here and something is to be undone.
    package init(
        identity: RunIdentity, build: String, node: String, storedSeq: Int64 = 0, isFirstOwner: Bool = true,
        patches: [String] = [], resets: [ResetSpan] = [], hasOwner: Bool = true, standIn: StandIn? = nil
    ) {
        self.identity = identity
        firstOfChain = identity.id
        self.resets = resets
        self.standIn = standIn
        self.build = build
        self.node = node
        self.storedSeq = storedSeq
        self.isFirstOwner = isFirstOwner
        self.hasOwner = hasOwner
        self.patches = Dictionary(patches.map { ($0, true) }) { first, _ in first }
    }

    /// A step that happened, with what undoing it needs.
    struct CompletedStep {
        let id: OperationID
        let request: StepRequest
        let undo: StepRequest.Undo
        let output: [UInt8]
        let keyGeneration: Int
        /// The event since which it stands: a reset to one before it may have it undone, one to a later one goes on with it. Of a child
        /// it is the start, since a child that exists is not made again.
        let completedAt: Int64
        var isBeingUndone = false
    }

    /// A batch of drafts in the making.
    struct Batch {
        /// Operations whose state is about to change: a plan made from the state before must not speak of them.
        var spokenFor: Set<OperationID> = []
        var hasDrafts = false
        /// Something other than a refusal is in it: feeding it may let the code run.
        var changesRun = false
        /// The same, but for signals and updates: with code that has ended they change nothing.
        var changesMore = false
        /// Signals and updates that are received with it.
        var messages: [InboxRow] = []
        /// `run.resumed` or `run.unblocked` have been put in front, where they were needed.
        var hasOpened = false
        var hasCancel = false
        /// A reset begins with it; everything else waits for the next one.
        var hasReset = false
        /// The pause that waits is recorded and ended at once.
        var hasWithdrawnPause = false
    }

    /// When an operation wants to be looked at again.
    struct Due: Comparable {
        let at: Timestamp
        let id: OperationID
        static func < (left: Due, right: Due) -> Bool { (left.at, left.id) < (right.at, right.id) }
    }

    /// How the root task ended.
    package enum RootResult: Sendable, Hashable {
        case completed([UInt8])
        case failed(StepFailure)
        case cancelled
        /// The run goes on as another one.
        case continued
    }
}

/// What tells a run from every other, and the version of the code that it is on. Only that can change.
package struct RunIdentity: Sendable, Hashable {
    package var id: RunID
    package var namespace: String
    package var workflow: String
    package var version: String
    package var salt: [UInt8]

    package init(id: RunID, namespace: String, workflow: String, version: String, salt: [UInt8]) {
        self.id = id
        self.namespace = namespace
        self.workflow = workflow
        self.version = version
        self.salt = salt
    }

    package init(_ record: RunRecord) {
        self.init(
            id: record.id, namespace: record.namespace, workflow: record.workflow, version: record.version, salt: record.salt)
    }
}

extension RunMachine {
    mutating func goOn(as version: String) { identity.version = version }

    mutating func makeID() -> OperationID {
        defer { nextID += 1 }
        return OperationID(number: nextID)
    }

    /// The code has come to rest after an event: whatever it asked for and still wants is outstanding from here on.
    package mutating func rest() {
        for id in requestedSinceRest {
            if let phase = steps[id]?.phase, phase == .requested {
                move(id, to: .released)
                steps[id]?.windowStart = lastEventAt
                steps[id]?.releasedBuild = recordedBuild
                doubtAfterLoss(id)
            } else if timers[id]?.phase == .requested {
                timers[id]?.phase = .released
            } else if questions[id]?.phase == .requested {
                questions[id]?.phase = .released
            } else if notes[id]?.phase == .requested {
                notes[id]?.phase = .released
            } else if children[id]?.phase == .requested {
                moveChild(id, to: .released)
            }
            enqueue(id)
        }
        requestedSinceRest.removeAll(keepingCapacity: true)
    }

    /// The stored history is consumed. What is outstanding now may have been dispatched by whoever owned the run before.
    package mutating func caughtUp(isTakeover: Bool, now: Timestamp) {
        isReplaying = false
        for id in steps.keys {
            guard let step = steps[id] else { continue }
            if step.wasPerhapsSent(by: now, isTakeover: isTakeover), !Mutant.isOn("forget what was under way") {
                steps[id]?.mayHaveRun = true
                steps[id]?.isInherited = true
                steps[id]?.isIntentUnsent = false
                // An attempt that no event speaks of was sent by now at the latest.
                if !step.isAtMostOnce {
                    steps[id]?.earlierMayHaveRun = true
                    steps[id]?.quietAfter = now + step.request.policy.attemptTimeout + step.request.policy.grace
                }
            }
            if steps[id]?.mayHaveRun == true, step.releasedBuild != build, !step.isRead { steps[id]?.needsFreshIntent = true }
        }
        for id in openOperations { enqueue(id) }
    }

    mutating func move(_ id: OperationID, to phase: StepPhase) {
        guard let from = steps[id]?.phase else { return }
        let transition = StepTransition(from, phase), phase = transition.destination
        assert(transition.isLegal, "the step machine has no transition \(transition)")
        trace?.insert(transition)
        let wasBusy = from == .running || from == .probing, isBusy = phase == .running || phase == .probing
        busyCount += (isBusy ? 1 : 0) - (wasBusy ? 1 : 0)
        steps[id]?.phase = phase
        giveUpAdmission(id, in: phase)
    }

    /// The same because of an event. Histories come from disk: one that does not fit is told, not trapped on.
    mutating func move(_ id: OperationID, to phase: StepPhase, by event: Event) throws(Divergence) {
        guard let from = steps[id]?.phase, StepTransition(from, phase).isLegal else { throw unasked(event) }
        move(id, to: phase)
    }

    /// Ends a step and gives the code its answer, if somebody waits.
    mutating func end(_ id: OperationID, with answer: Answer?) {
        let wasRunning = steps[id]?.phase == .running
        move(id, to: .ended)
        guard steps[id]?.phase == .ended, let step = steps.removeValue(forKey: id) else { return }
        if wasRunning, step.isCancelled, !step.bodyWasToldToStop { bodiesToStop.append(id) }
        switch step.family {
        case .step: stepIDs[step.request.subject] = nil
        case .undo: undoIDs[step.request.subject] = nil
        }
        if let answer, !step.isAnswered { answers.append((id, answer)) }
    }

    /// The next plan has to look at the operation. Nothing is planned while history is read; behind it everything open is looked at.
    mutating func enqueue(_ id: OperationID) {
        if isReplaying { return }
        if steps[id]?.isQueued == false {
            steps[id]?.isQueued = true
        } else if timers[id]?.isQueued == false {
            timers[id]?.isQueued = true
        } else if questions[id]?.isQueued == false {
            questions[id]?.isQueued = true
        } else if notes[id]?.isQueued == false {
            notes[id]?.isQueued = true
        } else if children[id]?.isQueued == false {
            children[id]?.isQueued = true
        } else {
            return
        }
        queue.append(id)
    }

    /// What is not over, in the order in which the code asked.
    private var openOperations: [OperationID] {
        (steps.keys + timers.keys + questions.keys + notes.keys + children.keys).sorted()
    }

    /// The plan has looked at the operation.
    mutating func unqueue(_ id: OperationID) {
        if steps[id] != nil {
            steps[id]?.isQueued = false
        } else if timers[id] != nil {
            timers[id]?.isQueued = false
        } else if questions[id] != nil {
            questions[id]?.isQueued = false
        } else if notes[id] != nil {
            notes[id]?.isQueued = false
        } else {
            children[id]?.isQueued = false
        }
    }

    mutating func wake(_ id: OperationID, at due: Timestamp) {
        // Waits that were given up leave their times behind, which may be far away.
        if dues.count > 2 * (steps.count + timers.count + questions.count) + 64 {
            dues = Heap(dues.unordered.filter(isStillDue))
        }
        dues.insert(Due(at: due, id: id))
    }

    /// How many times of waits are kept in mind, over ones included.
    var rememberedTimes: Int { dues.count }

    /// Takes the answers that are due to the code.
    package mutating func takeAnswers() -> [(id: OperationID, answer: Answer)] {
        defer { answers = [] }
        return answers
    }

    /// The probes that a person has overtaken since this was asked last. Each is told to stop, and makes room for the next body of its
    /// step.
    package mutating func takeOvertakenProbes() -> [OperationID] {
        defer { overtakenProbes = [] }
        return overtakenProbes
    }
}
