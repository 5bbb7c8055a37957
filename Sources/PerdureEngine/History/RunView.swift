package import Perdure
package import PerdureHistory

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
        package var failedAttempts = 0
        package var message: String?
        package var doubt: String?
        /// What put it in doubt in the first place, before a probe had its say.
        package var doubtCause: String?
        package var businessKey: String?
        package var nextAt: Timestamp?
        package var quietAfter: Timestamp?
        package var irreversible: String?
        /// An attempt may have had the effect: its intent has no outcome, or one that does not say.
        package var hasOpenIntent = false
        /// The same of an attempt before the last one.
        package var hasEarlierDoubt = false
        package var isExhausted = false
        package var isOver = false
        /// The effect is recorded as having happened, by its own outcome or by a person's word.
        package var hasHappened = false
        /// The run that did the work, if this one took over its outcome.
        package var adoptedFrom: String?
        package var approval: Approval?

        /// A person has to say what became of it.
        package var isInDoubt: Bool { !isOver && (last == .stepInDoubt || last == .undoInDoubt) }
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
    /// The run that this one is a child of.
    package private(set) var parent: ParentLink?
    package private(set) var isCancelling = false
    package private(set) var standing = RunStanding()
    package private(set) var takeovers = 0
    package private(set) var last: Event?

    private var stepIndex: [String: Int] = [:]
    private var undoIndex: [String: Int] = [:]
    /// Finished steps of other subjects than these are forgotten; nil keeps everything.
    private var kept: Set<String>?
    private var sizeToForgetAt = Self.forgottenAtOnce

    private static let forgottenAtOnce = 1_000

    package init(_ events: some Sequence<Event> = []) {
        for event in events { add(event) }
    }

    /// A view of what is open, whose size does not grow with what is over: finished steps are known of these subjects only.
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
        if event.kind == .runResumed {
            for index in steps.indices where steps[index].hasOpenIntent { steps[index].hasEarlierDoubt = true }
        }
        switch event.kind {
        case .runStarted:
            started = event
            starter = attributes["by"].flatMap(Principal.init)
            parent = attributes["parent"].flatMap(ParentLink.init)
        case .runCancelRequested: isCancelling = true
        case .runCompleted, .runFailed, .runCancelled, .runTerminated, .runContinued: final = event
        case .timerStarted: timers.append(Timer(subject: event.subject, due: attributes.timestamp("due")))
        case .timerFired, .timerCancelled: close(&timers) { $0.subject == event.subject && $0.isOpen }
        case .questionAsked:
            let text = event.input.flatMap(Self.json)?.stringValue ?? ""
            let approver = attributes["approver"]?.stringValue ?? ""
            questions.append(
                Question(subject: event.subject, text: text, approver: approver, expires: attributes.timestamp("expires_at")))
        case .questionAnswered, .questionExpired, .questionCancelled:
            close(&questions) { $0.subject == event.subject && $0.isOpen }
        case .childStarted, .childCancelRequested, .childCompleted, .childFailed, .childCancelled:
            Child.add(event, attributes, to: &children)
        default:
            if event.kind.rawValue.hasPrefix("step.") || event.kind.rawValue.hasPrefix("undo.")
                || event.kind.rawValue.hasPrefix("approval.")
            {
                addStep(event, attributes)
            } else if event.kind == .operatorAction, attributes["action"]?.stringValue == "retry", attributes["refused"] == nil {
                addRetry(event)
            }
        }
    }

    private mutating func forgetFinished() {
        guard let kept, steps.count + timers.count + questions.count > sizeToForgetAt else { return }
        steps.removeAll { $0.isOver && !kept.contains($0.subject) }
        timers.removeAll { !$0.isOpen }
        questions.removeAll { !$0.isOpen }
        stepIndex = [:]
        undoIndex = [:]
        for (index, step) in steps.enumerated() {
            if step.isUndo { undoIndex[step.subject] = index } else { stepIndex[step.subject] = index }
        }
        sizeToForgetAt = 2 * (steps.count + timers.count + questions.count) + Self.forgottenAtOnce
    }

    private static func json(_ value: StoredValue) -> JSONValue? {
        guard case .inline(let bytes) = value else { return nil }
        return try? JSONValue.parse(bytes, what: "a value")
    }

    private mutating func addRetry(_ event: Event) {
        for index in [stepIndex[event.subject], undoIndex[event.subject]] {
            guard let index, steps[index].isStuck else { continue }
            steps[index].isExhausted = false
            steps[index].last = .operatorAction
            steps[index].doubtCause = nil
        }
    }

    private mutating func addStep(_ event: Event, _ attributes: JSONObject) {
        let isUndo = event.kind.rawValue.hasPrefix("undo.")
        let index: Int
        if let known = isUndo ? undoIndex[event.subject] : stepIndex[event.subject] {
            index = known
        } else {
            index = steps.count
            steps.append(Step(subject: event.subject, isUndo: isUndo, last: event.kind, lastSeq: event.seq))
            if isUndo { undoIndex[event.subject] = index } else { stepIndex[event.subject] = index }
        }
        steps[index].last = event.kind
        steps[index].lastSeq = event.seq
        if let effect = attributes["effect"]?.stringValue { steps[index].effect = effect }
        if let message = attributes["message"]?.stringValue { steps[index].message = message }
        if let quiet = attributes.timestamp("quiet_after") { steps[index].quietAfter = quiet }
        if let reason = attributes["irreversible"]?.stringValue { steps[index].irreversible = reason }
        if let key = attributes["business_key"]?.stringValue { steps[index].businessKey = key }
        steps[index].nextAt = nil
        switch event.kind {
        case .stepIntended, .undoStarted:
            steps[index].hasOpenIntent = true
        case .stepAttemptFailed, .undoAttemptFailed:
            steps[index].failedAttempts += 1
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
            steps[index].adoptedFrom = attributes["adopted_from"]?.stringValue
        case .stepResolved, .undoResolved:
            let resolution = attributes["resolution"]?.stringValue.flatMap(ResolutionKind.init)
            steps[index].isOver = resolution != .didNotHappen
            steps[index].hasHappened = resolution == .happened || resolution == .undo
            steps[index].hasOpenIntent = false
            steps[index].hasEarlierDoubt = false
            (steps[index].doubt, steps[index].doubtCause, steps[index].quietAfter) = (nil, nil, nil)
            steps[index].isExhausted = attributes["next"]?.stringValue == Continuation.deadLetter.name
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

    private func close<T: Closable>(_ items: inout [T], where matches: (T) -> Bool) {
        if let index = items.lastIndex(where: matches) { items[index].isOpen = false }
    }

    // MARK: Questions that people ask

    package var parkedReason: String? { standing.parkedReason }
    package var blockedReason: String? { standing.blockedReason }
    package var isPoisoned: Bool { standing.isPoisoned }

    package func step(_ subject: String) -> Step? { stepIndex[subject].map { steps[$0] } }
    package func undo(_ subject: String) -> Step? { undoIndex[subject].map { steps[$0] } }
    /// The step or undo of this name that a person can decide on. While an undo is stuck, its step is not.
    package func stuck(_ subject: String) -> Step? { [undo(subject), step(subject)].compactMap { $0 }.first(where: \.isStuck) }
    package var openApprovals: [Step] { final == nil ? steps.filter { $0.approval?.isOpen == true && !$0.isOver } : [] }
    package var openQuestions: [Question] { final == nil ? questions.filter(\.isOpen) : [] }
    package var openTimers: [Timer] { timers.filter(\.isOpen) }
    package var stuckSteps: [Step] { steps.filter(\.isStuck) }
    /// Steps whose effect may have happened and whose outcome is not recorded, as far as a history can tell.
    package var unsettledSteps: [Step] { steps.filter { !$0.isOver && $0.hasOpenIntent && $0.effect != EffectKind.read.name } }
    /// Effects that the run has had and still has: what happened, has an effect, and was not undone.
    package var standingEffects: [Step] {
        steps.filter { step in
            !step.isUndo && step.hasHappened && step.effect != EffectKind.read.name && step.adoptedFrom == nil
                && undo(step.subject)?.hasHappened != true
        }
    }
    /// Steps that are not over and surely did not happen: the last attempt failed definitely, or none was made.
    package var unsentSteps: [Step] { steps.filter { !$0.isOver && !$0.isUndo && !$0.hasOpenIntent && !$0.isInDoubt } }
    /// The run is over and nothing about it is in doubt.
    package var isClosedCleanly: Bool { final != nil && !steps.contains(where: \.isInDoubt) }
}

private protocol Closable { var isOpen: Bool { get set } }
extension RunView.Timer: Closable {}
extension RunView.Question: Closable {}
