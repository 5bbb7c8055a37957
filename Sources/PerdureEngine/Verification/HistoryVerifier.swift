import Perdure
package import PerdureHistory
package import PerdureStore

/// Checks a whole history against the promises that it is meant to prove. Pure: it needs the run's row, its events, and no code.
///
/// The chain says that nothing was changed afterwards; the rules say that what was written is what the engine may do.
package struct HistoryVerifier {
    /// What a history has to keep. The names are stable: reports carry them.
    package enum Rule: String, Sendable, Hashable, CaseIterable {
        /// Gapless, never back in time, every hash right.
        case chain
        /// An event's attributes can be read.
        case readable
        /// It begins with `run.started`, once.
        case beginning
        /// The run's row says the same as its history.
        case row
        /// Nothing stands after the final event but what may.
        case end
        /// An at-most-once step is sent only after its intent.
        case intentBeforeDispatch = "intent_before_dispatch"
        /// A further intent of an at-most-once step needs proof that the attempt before did nothing.
        case intentRepeated = "intent_repeated"
        /// After a change of owner an open at-most-once intent is put in doubt, not sent again.
        case resumedBlindly = "resumed_blindly"
        /// A step is called cancelled only where it surely did not happen.
        case effectForgotten = "effect_forgotten"
        /// A step has one outcome.
        case outcomeRepeated = "outcome_repeated"
        /// What needs an approval is released by one approving decision on exactly what was shown.
        case approval
        /// What is undone has happened, and the newest is undone first.
        case undoOrder = "undo_order"
        /// Every intent is settled before the run closes.
        case unsettled
        /// A child starts once and ends once, before its parent does, and its own history says the same of it.
        case child
        /// A reset was asked for, goes to an event that still counts, and what happened before it is not sent again under the same key.
        case reset
        /// Nothing is sent while the run is paused.
        case paused
        /// A run that was continued and the one that continues it say the same of each other, and so do a fork and its source.
        case succession
    }

    package struct Problem: Sendable, Hashable {
        /// The first event that is wrong; `nil` if it is the row.
        package var seq: Int64?
        package var rule: Rule
        package var message: String
    }

    /// What a history proves.
    package struct Report: Sendable {
        /// In the order of the history.
        package internal(set) var problems: [Problem] = []
        package internal(set) var eventCount = 0
        package internal(set) var takeovers = 0
        package internal(set) var isClosed = false
        package internal(set) var isClosedCleanly = false
        /// The history is gone; what can be checked is that its tombstone continues a chain of this length.
        package internal(set) var expiredAfter: Int64?

        /// The report on a history that the store cannot even read.
        package static func unreadable(_ message: String) -> Report {
            Report(problems: [Problem(seq: nil, rule: .readable, message: message)])
        }

        package var isSound: Bool { problems.isEmpty }
        /// No completed step was repeated, and nothing that must happen at most once was sent without an intent or sent again blindly.
        package var isProvenOnce: Bool {
            let rules: Set<Rule> = [
                .chain, .readable, .beginning, .intentBeforeDispatch, .intentRepeated, .resumedBlindly, .outcomeRepeated,
                .approval, .child,
            ]
            return expiredAfter == nil && !problems.contains { rules.contains($0.rule) }
        }
        /// Every change of owner left what was under way to be settled, not to be sent again.
        package var isResumedSafely: Bool {
            expiredAfter == nil
                && !problems.contains { [.chain, .readable, .beginning, .intentRepeated, .resumedBlindly].contains($0.rule) }
        }
    }

    let record: RunRecord
    private var report = Report()
    /// By subject; steps and undos have tracks of their own.
    var steps: [String: VerifiedStep] = [:]
    var undos: [String: VerifiedStep] = [:]
    var children: [String: VerifiedChild] = [:]
    var childRuns: Set<String> = []
    /// In their order.
    var undoStarts: [(subject: String, completedAt: Completion, startedAt: Completion)] = []
    private var final: Event?
    private var first: Event?
    private var head: ChainHead
    private var isChainBroken = false
    /// How many events are judged by more than their chain: that takes memory for each step.
    private let ruleLimit: Int
    private var node: String?
    var resets: [ResetSpan] = []
    var resetAskedFor: Int64?
    /// Up to here the history is a copy of another run's.
    var copiedUntil: Int64 = 0
    /// How often a part of the history was lost.
    var losses = 0
    /// How many of them a person has said of that nothing is outstanding.
    var settledLosses = 0
    /// The event that marks the last one.
    var lossMark: Int64?
    private var isPaused = false
    private var version: String?

    /// Where and when something stands in the history.
    struct Completion: Hashable {
        var seq: Int64
        var at: Timestamp
        /// A reset has passed over it: since when it counts again depends on the code, and no event says so.
        var isAdopted = false
    }

    /// - Parameter ruleLimit: Of a longer history only the chain, the beginning and the end are checked, in bounded memory.
    package init(_ record: RunRecord, ruleLimit: Int = .max) {
        self.record = record
        self.ruleLimit = ruleLimit
        head = record.tombstone?.head ?? .start(namespace: record.namespace, run: record.id.description)
    }

    /// - Parameters:
    ///   - children: the runs that the history names as children, as far as they are to be compared with it.
    ///   - successor: the run that it was continued as.
    ///   - origin: of a fork, the source's history up to the event that it names, to be compared with it.
    package static func verify(
        _ record: RunRecord, _ events: [Event], children: [(record: RunRecord, events: [Event])] = [],
        successor: (record: RunRecord, events: [Event])? = nil, origin: [Event]? = nil
    ) -> Report {
        var verifier = HistoryVerifier(record)
        verifier.add(events)
        if let origin { verifier.checkOrigin(events, origin) }
        let named = NamedChildren(events)
        for child in children { verifier.compare(named, child.record, child.events) }
        if let successor { verifier.checkSuccession(events, successor.record, successor.events) }
        return verifier.finish()
    }

    /// Takes in the next part of the history.
    package mutating func add(_ events: [Event]) {
        checkChain(events)
        for event in events {
            report.eventCount += 1
            if record.tombstone != nil {
                check(end: event)
            } else {
                checkBeginning(event)
                check(event)
            }
            if first == nil { first = event }
        }
        guard report.eventCount > ruleLimit else { return }
        steps = [:]
        undos = [:]
        undoStarts = []
        (children, childRuns) = ([:], [])
    }

    /// What the whole history proves.
    package mutating func finish() -> Report {
        if first == nil { wrong(nil, .beginning, "The run has no history.") }
        if let tombstone = record.tombstone {
            report.expiredAfter = tombstone.lastSeq
            report.isClosed = true
            report.isClosedCleanly = report.problems.isEmpty
            return report
        }
        checkUndoOrder()
        checkRow()
        report.isClosed = final != nil
        report.isClosedCleanly =
            final != nil && !steps.values.contains(where: \.isUnsettled) && !undos.values.contains(where: \.isUnsettled)
            && !children.values.contains(where: \.isOpen)
            && !report.problems.contains { [.chain, .unsettled, .end, .effectForgotten].contains($0.rule) }
        report.problems.sort { ($0.seq ?? .max) < ($1.seq ?? .max) }
        return report
    }

    mutating func wrong(_ event: Event, _ rule: Rule, _ message: String) { wrong(event.seq, rule, message) }

    mutating func wrong(_ seq: Int64?, _ rule: Rule, _ message: String) {
        report.problems.append(Problem(seq: seq, rule: rule, message: message))
    }

    var salt: [UInt8] { record.salt }

    // MARK: The frame

    /// Names the first break; what comes after it cannot be judged.
    private mutating func checkChain(_ events: [Event]) {
        guard !isChainBroken else { return }
        do throws(ChainBreak) {
            head = try EventChain.verify(events, run: record.id.description, from: head)
        } catch {
            isChainBroken = true
            wrong(error.seq, .chain, error.description)
        }
    }

    /// Of an expired run there is one event, which says once more what the row says.
    private mutating func check(end event: Event) {
        guard first == nil, event.kind == .runExpired else {
            return wrong(event, .end, "The run has expired, but its history is not the one event run.expired.")
        }
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        if attributes["state"]?.stringValue != record.state.rawValue
            || attributes["last_hash"]?.stringValue != record.tombstone?.lastHash.description
        {
            wrong(event, .row, "The row says otherwise than run.expired how the run ended or with which hash.")
        }
    }

    private mutating func checkBeginning(_ event: Event) {
        if first == nil {
            guard event.kind != .runStarted else { return }
            wrong(event, .beginning, "The history begins with \(event.kind.rawValue), not with run.started.")
        } else if event.kind == .runStarted {
            wrong(event, .beginning, "The run starts a second time.")
        }
    }

    private mutating func check(_ event: Event) {
        let attributes: JSONObject
        do {
            attributes = try event.attributes.object()
        } catch {
            wrong(event, .readable, "Its attributes are not a JSON object.")
            return
        }
        if let final, !event.kind.mayFollowFinal {
            wrong(
                event, .end,
                "\(event.kind.rawValue) stands after \(final.kind.rawValue), which closed the run at event \(final.seq).")
        }
        if event.kind.isFinal, final == nil {
            final = event
            checkSettled(event)
            checkChildrenOver(event)
        }
        if event.kind == .runResumed {
            let isTakeover = attributes["clean"]?.boolValue == false, newNode = attributes["node"]?.stringValue
            if isTakeover { report.takeovers += 1 }
            // The same node only says that the run is, or is no longer, watched for taking its process down.
            if isTakeover || newNode == nil || newNode != node { ownerChanged() }
            node = newNode
        } else if event.kind == .runStarted {
            node = attributes["node"]?.stringValue
        }
        if event.kind == .runRestored { historyWasLost(event) }
        if event.kind == .runLossSettled, namesLastMark(attributes) { settledLosses = losses }
        checkStandstill(event, attributes)
        checkForked(event)
        checkReset(event, attributes)
        if report.eventCount <= ruleLimit {
            checkStep(event, attributes)
            checkChild(event, attributes)
        }
    }

    private mutating func checkStandstill(_ event: Event, _ attributes: JSONObject) {
        switch event.kind {
        case .runStarted:
            version = attributes["version"]?.stringValue
            copiedUntil = attributes["fork"].flatMap(ForkOrigin.init)?.copied ?? 0
        case .runPaused: isPaused = true
        case .runUnpaused: isPaused = false
        case .runRepinned:
            if attributes["from"]?.stringValue != version {
                wrong(event, .row, "The run leaves version \(attributes["from"]?.stringValue ?? "?"), on which it was not.")
            }
            version = attributes["to"]?.stringValue
        case .stepIntended, .undoStarted, .stepSucceeded, .undoSucceeded, .stepAttemptFailed, .undoAttemptFailed, .childStarted:
            if isPaused { wrong(event, .paused, "\(event.kind.rawValue) '\(event.subject)' stands in a pause.") }
        default: break
        }
    }

    /// A terminated run says what it leaves in doubt; every other end waits until nothing is open.
    private mutating func checkSettled(_ event: Event) {
        guard event.kind != .runTerminated else { return }
        let open = (steps.values.map { ("step", $0) } + undos.values.map { ("undo of", $0) }).filter { $0.1.isUnsettled }
        for (what, step) in open.sorted(by: { $0.1.subject < $1.1.subject }) {
            wrong(event, .unsettled, "The run closes while \(what) '\(step.subject)' has no outcome (event \(step.lastSeq)).")
        }
    }

    private mutating func checkRow() {
        guard let first, first.kind == .runStarted, let attributes = try? first.attributes.object() else { return }
        if attributes["workflow"]?.stringValue != record.workflow || version != record.version {
            wrong(
                nil, .row, "The row names workflow \(record.workflow) \(record.version), but the history another one (event 1).")
        }
        // A run that is continued gives its key away.
        let key = final?.kind == .runContinued ? nil : attributes["key"]?.stringValue
        if key != record.key {
            wrong(nil, .row, "The row has another key than the history (event 1).")
        }
        if case .inline(let input)? = first.input,
            SaltedDigest.hex(salt: record.salt, canonicalBytes: input) != record.inputDigest
        {
            wrong(nil, .row, "The row's digest is not that of the recorded input (event 1).")
        }
        let closed = final.map { $0.kind == .runContinued ? RunState.completed.rawValue : String($0.kind.rawValue.dropFirst(4)) }
        if record.state == .quarantined {
            wrong(nil, .row, "The run is quarantined: \(record.note ?? "its history was found broken.")")
        } else if (closed != nil) != record.state.isFinal || (closed != nil && closed != record.state.rawValue) {
            wrong(nil, .row, "The row says \(record.state.rawValue), the history \(closed ?? "that the run is not closed").")
        }
        let named = final?.kind == .runContinued ? (try? final?.attributes.object())?["run"]?.stringValue : nil
        if named != record.successor?.description {
            wrong(nil, .row, "The row names another successor than the history.")
        }
    }
}
