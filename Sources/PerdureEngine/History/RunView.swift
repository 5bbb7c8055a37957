package import Perdure
package import PerdureHistory
package import PerdureStore

/// What a history says, read without the workflow's code: for people, for checks at the edge, and for ending a run whose code is
/// gone. It knows less than the machine: a plain step that is under way has left no trace yet.
package struct RunView: Sendable {
    /// A step or an undo that has at least one event.
    package struct Step: Sendable {
        package var subject: String
        package var isUndo: Bool
        package var effect = ""
        package var last: EventKind
        package var lastSeq: Int64
        /// When the last event was.
        package var lastAt: Timestamp
        package var failedAttempts = 0
        package var message: String?
        package var doubt: String?
        /// What put it in doubt in the first place, before a probe had its say.
        package var doubtCause: String?
        package var businessKey: String?
        package var nextAt: Timestamp?
        package var quietAfter: Timestamp?
        /// When the attempt whose intent stands last should have ended.
        package var deadline: Timestamp?
        package var irreversible: String?
        /// An attempt may have had the effect: its intent has no outcome, or one that does not say.
        package var hasOpenIntent = false
        /// The same of an attempt before the last one.
        package var hasEarlierDoubt = false
        package var isExhausted = false
        /// It happened and is to be undone: a person said so, or nobody wanted it any more.
        package var isToUndo = false
        package var isOver = false
        /// The effect is recorded as having happened, by its own outcome or by a person's word.
        package var hasHappened = false
        /// The events since which it counts as done, and as undone.
        package fileprivate(set) var firstSeq: Int64 = 0
        package fileprivate(set) var completedAt: Int64?
        package fileprivate(set) var undoneAt: Int64?
        /// The reset that has passed over it since and has its outcome answer again.
        package fileprivate(set) var adoptedAt: Int64?
        /// The run that did the work, if this one took over its outcome.
        package var adoptedFrom: String?
        package var approval: Approval?

        /// A person has to say what became of it.
        package var isInDoubt: Bool { !isOver && (last == .stepInDoubt || last == .undoInDoubt) }
        /// How long after its sending an attempt may still act, as far as an intent has told.
        fileprivate var actingTime = StepPolicy.default.attemptTimeout + StepPolicy.default.grace
        /// Another attempt was released, without a delay and without an event of its own.
        fileprivate var isReleasedAnew = false

        /// What it does is committed with the event that records it.
        fileprivate var isTransaction: Bool { effect == EffectKind.transactional.name }
        fileprivate var isIdempotent: Bool { effect == EffectKind.idempotent(.forever).name }

        /// Whether a process that died at this time may have sent an attempt that no event speaks of: one that was due, or one that needed
        /// no intent. An at-most-once step always needs one.
        fileprivate func wasPerhapsSent(by time: Timestamp) -> Bool {
            guard !isOver, isIdempotent, !isStuck else { return false }
            if let nextAt { return nextAt <= time }
            return isReleasedAnew && !isUndo && businessKey == nil && approval == nil
        }

        /// It is in doubt, or cannot go on by itself.
        package var isStuck: Bool { isInDoubt || (!isOver && (isExhausted || last == .undoFailed)) }
    }

    package struct Approval: Sendable {
        package var view: [UInt8]
        package var digest: String
        package var approver: String
        package var requestedAt: Timestamp
        package var expires: Timestamp?
        package var isOpen = true
    }

    package struct Timer: Sendable {
        package var subject: String
        package var due: Timestamp?
        package var isOpen = true
    }

    package struct Question: Sendable {
        package var subject: String
        package var text: String
        package var approver: String
        package var askedAt: Timestamp
        package var expires: Timestamp?
        package var isOpen = true
    }

    package private(set) var started: Event?
    package private(set) var starter: Principal?
    package private(set) var final: Event?
    package private(set) var steps: [Step] = []
    package private(set) var timers: [Timer] = []
    package private(set) var questions: [Question] = []
    package private(set) var children: [Child] = []
    /// Where this run was forked from.
    package private(set) var origin: ForkOrigin?
    /// The run that this one is a child of.
    package private(set) var parent: ParentLink?
    /// The run that this one continues.
    package private(set) var continues: ContinuedRun?
    /// When the run is to be cancelled if it has not ended.
    package private(set) var deadline: Timestamp?
    package private(set) var isCancelling = false
    /// A reset that was asked for and has not been carried out yet.
    package private(set) var resetting: ResetRequest?
    private(set) var resettingBy: JSONValue?
    /// The messages that have let something begin or go on which may outlast the commit that took them in: resolutions, resets, and what
    /// ended a pause or let a poisoned run try again.
    private(set) var heeded: Set<String> = []
    /// The part of the history that may be lost, if it was marked.
    package private(set) var lostPart: LostPart?
    /// The marks of losses, whether somebody has settled them or not.
    package private(set) var lossMarks: [LossMark] = []
    /// The last of them.
    package var lossMark: LossMark? { lossMarks.last }
    package private(set) var standing = RunStanding()
    package private(set) var takeovers = 0
    package private(set) var last: Event?

    private var node: String?
    private var cancelRequestedAt: Int64 = 0
    private var isCancelledByParent = false
    private var lastReset: Int64 = 0
    private var stepIndex: [String: Int] = [:]
    private var undoIndex: [String: Int] = [:]
    /// Of children that are open.
    private var childIndex: [String: Int] = [:]
    /// What is over is forgotten, but for steps of these subjects; nil keeps everything.
    private var kept: Set<String>?
    private var sizeToForgetAt = Self.forgottenAtOnce

    private static let forgottenAtOnce = 1_000

    package init(_ events: some Sequence<Event> = []) {
        for event in events { add(event) }
    }

    /// A view of what is open, whose size does not grow with what is over: finished steps are known of these subjects only, and children
    /// that have ended not at all.
    init(ofOpenWorkAnd kept: Set<String>) { self.kept = kept }

    package mutating func add(_ events: some Sequence<Event>) {
        for event in events { add(event) }
    }

    /// Attributes that cannot be read count as empty: a view never fails.
    package mutating func add(_ event: Event) {
        last = event
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        standing.add(event)
        if event.kind == .runResumed, attributes["clean"]?.boolValue == false { takeovers += 1 }
        defer { forgetFinished() }
        switch event.kind {
        case .runResumed: addOwner(event, attributes)
        case .runStarted:
            started = event
            node = attributes["node"]?.stringValue
            starter = attributes["by"].flatMap(Principal.init)
            parent = attributes["parent"].flatMap(ParentLink.init)
            continues = attributes["continues"].flatMap(ContinuedRun.init)
            deadline = attributes.timestamp("deadline")
            origin = attributes["fork"].flatMap(ForkOrigin.init)
        case .runCancelRequested:
            (isCancelling, cancelRequestedAt) = (true, event.seq)
            let sender = attributes["by"].flatMap(Principal.init)
            if let parent, sender == .run(parent.run) { isCancelledByParent = true }
        case .runReset:
            (resetting, lastReset) = (nil, event.seq)
            if let request = ResetRequest(attributes) { addReset(request, event.seq) }
        case .runUnpaused: heed(attributes)
        case .runRestored: addLoss(event)
        case .runLossSettled: lostPart = nil
        case .runCompleted, .runFailed, .runCancelled, .runTerminated, .runContinued: final = event
        case .timerStarted: timers.append(Timer(subject: event.subject, due: attributes.timestamp("due")))
        case .timerFired, .timerCancelled: close(&timers) { $0.subject == event.subject && $0.isOpen }
        case .questionAsked:
            let text = event.input.flatMap(Self.json)?.stringValue ?? ""
            let approver = attributes["approver"]?.stringValue ?? ""
            questions.append(
                Question(
                    subject: event.subject, text: text, approver: approver, askedAt: event.at,
                    expires: attributes.timestamp("expires_at")))
        case .questionAnswered, .questionExpired, .questionCancelled:
            close(&questions) { $0.subject == event.subject && $0.isOpen }
        case .childStarted, .childCancelRequested, .childCompleted, .childFailed, .childCancelled:
            Child.add(event, attributes, to: &children, open: &childIndex)
        default:
            if event.kind.rawValue.hasPrefix("step.") || event.kind.rawValue.hasPrefix("undo.")
                || event.kind.rawValue.hasPrefix("approval.")
            {
                addStep(event, attributes)
            } else if event.kind == .operatorAction, !attributes.has("refused") {
                heed(attributes)
                if attributes["action"]?.stringValue == "retry" { addRetry(event) }
                if attributes["action"]?.stringValue == "reset" {
                    resetting = ResetRequest(attributes)
                    resettingBy = attributes["by"]
                }
            }
        }
    }

    /// What completed since the point and is adopted answers again from here on.
    private mutating func addReset(_ request: ResetRequest, _ seq: Int64) {
        if cancelRequestedAt > request.to, !isCancelledByParent { isCancelling = false }
        func adoption(_ earlier: Int64?, _ stands: Int64, _ choice: ResetChoice) -> Int64? {
            if stands > request.to { return choice == .adopt ? seq : nil }
            return earlier.flatMap { $0 > request.to ? nil : $0 }
        }
        for index in steps.indices where stepIndex[steps[index].subject] == index {
            let step = steps[index]
            guard let completed = step.completedAt, step.undoneAt == nil else { continue }
            steps[index].adoptedAt = adoption(
                step.adoptedAt, completed, step.canBecome(request.choice(for: step.subject)))
        }
        for index in children.indices {
            let child = children[index]
            guard child.completedAt != nil, child.undoneAt == nil else { continue }
            children[index].adoptedAt = adoption(
                child.adoptedAt, child.startedAt, child.canBecome(request.choice(for: child.subject)))
        }
    }

    private mutating func forgetFinished() {
        guard let kept, size > sizeToForgetAt else { return }
        let isUndone = Set(steps.filter(\.isUndo).map(\.subject))
        steps.removeAll { step in
            let waitsForUndo = !step.isUndo && step.isToUndo && !isUndone.contains(step.subject)
            return step.isOver && !waitsForUndo && !kept.contains(step.subject)
        }
        timers.removeAll { !$0.isOpen }
        questions.removeAll { !$0.isOpen }
        children.removeAll { !$0.isOpen }
        childIndex = Dictionary(children.enumerated().map { ($0.element.subject, $0.offset) }) { _, last in last }
        stepIndex = [:]
        undoIndex = [:]
        for (index, step) in steps.enumerated() {
            if step.isUndo { undoIndex[step.subject] = index } else { stepIndex[step.subject] = index }
        }
        sizeToForgetAt = 2 * size + Self.forgottenAtOnce
    }

    private var size: Int { steps.count + timers.count + questions.count + children.count }

    private static func json(_ value: StoredValue) -> JSONValue? {
        guard case .inline(let bytes) = value else { return nil }
        return try? JSONValue.parse(bytes, what: "a value")
    }

    /// What the owner before has sent and not seen the end of is in doubt, also where no event speaks of it.
    private mutating func addOwner(_ event: Event, _ attributes: JSONObject) {
        let isTakeover = attributes["clean"]?.boolValue == false, newNode = attributes["node"]?.stringValue
        guard isTakeover || newNode == nil || newNode != node else { return }
        node = newNode
        for index in steps.indices {
            if isTakeover, steps[index].wasPerhapsSent(by: event.at) {
                steps[index].hasOpenIntent = true
                let quiet = event.at + steps[index].actingTime
                steps[index].quietAfter = max(steps[index].quietAfter ?? quiet, quiet)
            }
            if steps[index].hasOpenIntent { steps[index].hasEarlierDoubt = true }
        }
    }

    /// What is open may have been sent in the lost part, and approvals may have been used there.
    private mutating func addLoss(_ event: Event) {
        lostPart = try? LostPart(event, after: lostPart)
        lossMarks.append(LossMark(event))
        for index in steps.indices where !steps[index].isOver && steps[index].effect != EffectKind.read.name {
            steps[index].approval?.isOpen = false
            if steps[index].isTransaction { continue }
            steps[index].hasOpenIntent = true
            steps[index].hasEarlierDoubt = true
            let quiet = event.at + steps[index].actingTime
            steps[index].quietAfter = max(steps[index].quietAfter ?? quiet, quiet)
        }
    }

    private mutating func addRetry(_ event: Event) {
        for index in [undoIndex[event.subject], stepIndex[event.subject]] {
            guard let index, steps[index].isStuck else { continue }
            if steps[index].isInDoubt {
                // Trying again does not tell what became of the attempt before.
                steps[index].hasOpenIntent = true
                steps[index].hasEarlierDoubt = true
            }
            steps[index].isExhausted = false
            steps[index].isReleasedAnew = true
            steps[index].last = .operatorAction
            steps[index].doubtCause = nil
        }
    }

    private mutating func addStep(_ event: Event, _ attributes: JSONObject) {
        let isUndo = event.kind.rawValue.hasPrefix("undo.")
        let index: Int
        if let known = isUndo ? undoIndex[event.subject] : stepIndex[event.subject], !isPassedOver(steps[known]) {
            index = known
        } else {
            index = steps.count
            steps.append(Step(subject: event.subject, isUndo: isUndo, last: event.kind, lastSeq: event.seq, lastAt: event.at))
            steps[index].firstSeq = event.seq
            if isUndo { undoIndex[event.subject] = index } else { stepIndex[event.subject] = index }
        }
        steps[index].last = event.kind
        steps[index].lastSeq = event.seq
        steps[index].lastAt = event.at
        if let effect = attributes["effect"]?.stringValue { steps[index].effect = effect }
        if let message = attributes["message"]?.stringValue { steps[index].message = message }
        if let quiet = attributes.timestamp("quiet_after") { steps[index].quietAfter = quiet }
        if let reason = attributes["irreversible"]?.stringValue { steps[index].irreversible = reason }
        if let key = attributes["business_key"]?.stringValue { steps[index].businessKey = key }
        steps[index].nextAt = nil
        steps[index].isReleasedAnew = false
        switch event.kind {
        case .stepIntended, .undoStarted:
            steps[index].hasOpenIntent = true
            steps[index].deadline = attributes.timestamp("deadline")
            if let quiet = attributes.timestamp("quiet_after") { steps[index].actingTime = quiet.duration(since: event.at) }
        case .stepAttemptFailed, .undoAttemptFailed:
            steps[index].failedAttempts += 1
            steps[index].deadline = nil
            steps[index].nextAt = attributes.timestamp("next_at")
            steps[index].isExhausted = steps[index].nextAt == nil
            let isDefinite = attributes["definite"]?.boolValue ?? false
            if !isDefinite { steps[index].hasEarlierDoubt = true }
            steps[index].hasOpenIntent = steps[index].hasEarlierDoubt
            if !steps[index].hasOpenIntent { steps[index].quietAfter = nil }
        case .stepInDoubt, .undoInDoubt:
            steps[index].doubt = attributes["reason"]?.stringValue
            steps[index].doubtCause = steps[index].doubtCause ?? steps[index].doubt
        case .stepSucceeded, .undoSucceeded, .stepFailed, .stepCancelled:
            steps[index].isOver = true
            steps[index].hasOpenIntent = false
            steps[index].hasHappened = event.kind == .stepSucceeded || event.kind == .undoSucceeded
            if steps[index].hasHappened { noteHappened(index, event) }
            steps[index].isToUndo = attributes["to_undo"]?.boolValue ?? false
            steps[index].adoptedFrom = attributes["adopted_from"]?.stringValue
        case .stepResolved, .undoResolved:
            addResolution(index, attributes)
            if steps[index].hasHappened { noteHappened(index, event) }
        case .undoFailed:
            steps[index].failedAttempts += 1
        case .approvalRequested:
            guard case .inline(let view)? = event.input else { break }
            steps[index].approval = Approval(
                view: view, digest: attributes["view_digest"]?.stringValue ?? "",
                approver: attributes["approver"]?.stringValue ?? "",
                requestedAt: event.at, expires: attributes.timestamp("expires_at"))
        case .approvalDecided:
            steps[index].approval?.isOpen = false
            if attributes["approved"]?.boolValue != true { steps[index].isOver = true }
        case .approvalExpired, .approvalCancelled, .approvalVoided:
            steps[index].approval?.isOpen = false
            steps[index].isOver = true
        default:
            break
        }
    }

    /// Whether a reset lies between: what comes now is the same step once more.
    private func isPassedOver(_ step: Step) -> Bool { step.isOver && step.lastSeq < lastReset }

    private mutating func noteHappened(_ index: Int, _ event: Event) {
        guard steps[index].isUndo else {
            steps[index].completedAt = event.seq
            return
        }
        if let step = stepIndex[event.subject] {
            steps[step].undoneAt = event.seq
        } else if let child = children.lastIndex(where: { $0.subject == event.subject }) {
            children[child].undoneAt = event.seq
        }
    }

    private mutating func addResolution(_ index: Int, _ attributes: JSONObject) {
        let resolution = attributes["resolution"]?.stringValue.flatMap(ResolutionKind.init)
        let next = attributes["next"]?.stringValue
        steps[index].isOver = resolution != .didNotHappen || next == Continuation.failure.name
        steps[index].hasHappened = resolution == .happened || resolution == .undo
        steps[index].isToUndo = resolution == .undo || attributes["to_undo"]?.boolValue == true
        heed(attributes)
        steps[index].hasOpenIntent = false
        steps[index].hasEarlierDoubt = false
        (steps[index].doubt, steps[index].doubtCause, steps[index].quietAfter) = (nil, nil, nil)
        steps[index].deadline = nil
        steps[index].nextAt = attributes.timestamp("next_at")
        steps[index].isExhausted = next == Continuation.deadLetter.name
        steps[index].isReleasedAnew = steps[index].nextAt == nil
    }

    private mutating func heed(_ attributes: JSONObject) {
        if let delivery = attributes["delivery"]?.stringValue { heeded.insert(delivery) }
    }

    private func close<T: Closable>(_ items: inout [T], where matches: (T) -> Bool) {
        if let index = items.lastIndex(where: matches) { items[index].isOpen = false }
    }

    // MARK: Questions that people ask

    package var parkedReason: String? { standing.parkedReason }
    package var blockedReason: String? { standing.blockedReason }
    package var isPoisoned: Bool { standing.isPoisoned }
    package var isPaused: Bool { standing.isPaused }

    /// Whether it happened to the run that this one was forked from.
    func isCopy(_ seq: Int64?) -> Bool { (seq ?? .max) <= (origin?.copied ?? 0) }
    /// Steps without those that were done again after a reset.
    var currentSteps: [Step] { steps.indices.filter { stepIndex[steps[$0].subject] == $0 }.map { steps[$0] } }
    package func step(_ subject: String) -> Step? { stepIndex[subject].map { steps[$0] } }
    package func undo(_ subject: String) -> Step? { undoIndex[subject].map { steps[$0] } }
    /// The step or undo of this name that a person can decide on. While an undo is stuck, its step is not.
    package func stuck(_ subject: String) -> Step? { [undo(subject), step(subject)].compactMap { $0 }.first(where: \.isStuck) }
    package var openApprovals: [Step] { final == nil ? steps.filter { $0.approval?.isOpen == true && !$0.isOver } : [] }
    package var openQuestions: [Question] { final == nil ? questions.filter(\.isOpen) : [] }
    package func openChild(_ subject: String) -> Child? { childIndex[subject].map { children[$0] } }
    package var openTimers: [Timer] { timers.filter(\.isOpen) }
    package var stuckSteps: [Step] { steps.filter(\.isStuck) }
    /// Steps whose effect may have happened and whose outcome is not recorded, as far as a history can tell; and undos that have begun
    /// and neither ended nor wait for a person.
    package var unsettledSteps: [Step] {
        steps.filter { step in
            if step.isOver || step.effect == EffectKind.read.name { return false }
            if step.isUndo, !step.isStuck { return true }
            return step.hasOpenIntent && !step.isTransaction
        }
    }
    /// Effects that the run has had and still has: what happened, has an effect, and was not undone.
    package var standingEffects: [Step] {
        steps.filter { step in
            !step.isUndo && step.hasHappened && step.effect != EffectKind.read.name && step.adoptedFrom == nil
                && step.undoneAt == nil && !isCopy(step.completedAt)
        }
    }
    /// Steps that are not over and surely did not happen: the last attempt failed definitely, or none was made.
    package var unsentSteps: [Step] {
        steps.filter { !$0.isOver && !$0.isUndo && (!$0.hasOpenIntent || $0.isTransaction) && !$0.isInDoubt }
    }
    /// Steps that happened and are to be undone, which has not begun.
    package var stepsToUndo: [Step] {
        currentSteps.filter { step in
            guard step.isToUndo, !isCopy(step.completedAt) else { return false }
            // An undo from before is one of what stood there before a reset.
            return undo(step.subject).map { $0.lastSeq < step.completedAt ?? 0 } ?? true
        }
    }
    /// The run is over and nothing about it is in doubt.
    package var isClosedCleanly: Bool { final != nil && !steps.contains(where: \.isInDoubt) }
}

private protocol Closable { var isOpen: Bool { get set } }
extension RunView.Timer: Closable {}
extension RunView.Question: Closable {}
