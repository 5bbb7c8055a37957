import Foundation
import Perdure
import PerdureHistory
import PerdureStore

/// Takes in what people ask of a run whose code is not here, does not fit or must not run: a pure value that turns messages into
/// events by what history shows.
///
/// It ends a run, and it records what a person knows of a step in doubt. It says what is to be undone, where that needs no code.
/// Everything else waits for the code. What depends on the code cannot be checked: that the step had the result that is said, or what
/// its policy makes of an exhausted one.
///
/// A run that still waits in a queue has done nothing: it is also cancelled, and ends when its deadline passes.
struct Caretaker {
    let identity: RunIdentity
    /// The run had been terminated before; only what is in doubt can still be cleared up.
    let isAfterEnd: Bool
    /// The run waits in a queue: none of its code has ever run.
    let isUnadmitted: Bool
    /// What the steps gave that messages speak of, or that are to be undone.
    private var outputs: [String: [UInt8]] = [:]
    private let subjects: Set<String>?
    let now: Timestamp
    /// The typed steps that can be undone here, and what history says of steps that may be.
    let registry: StepRegistry
    private(set) var recorded: [String: RecordedStep] = [:]
    private(set) var view: RunView
    private(set) var head: ChainHead

    private(set) var events: [Event] = []
    var consumed: [Int64] = []
    /// Messages that have led to something that is to be undone here, and stay unread until it is.
    var held: [Int64] = []
    private(set) var settles: [BusinessKeySettlement] = []
    private(set) var deliveries: [Delivery] = []
    /// The run is to end with these messages.
    var isEnding: Bool { ending != nil }
    private var ending: Ending?
    /// Something was cleared up that the code may have waited for.
    var hasResolved = false
    /// How the run has ended, if it has with this.
    private(set) var end: RunState?
    /// The run was poisoned, and may try again.
    private(set) var hasUnparked = false
    /// The run goes on from an earlier point.
    private(set) var hasReset = false
    /// The version that the run goes on with, if it has changed.
    private(set) var version: String?

    /// - Parameters:
    ///   - subjects: The steps that messages speak of. Of others only what is open is kept in mind; with nil, everything.
    ///   - registry: The typed steps that can be undone here.
    init(_ claim: ClaimedRun, about subjects: Set<String>? = nil, registry: StepRegistry = .empty, now: Timestamp) {
        identity = RunIdentity(claim.record)
        isAfterEnd = claim.record.state == .terminated
        isUnadmitted = !claim.record.isAdmitted
        self.subjects = subjects
        self.now = now
        self.registry = registry
        view = subjects.map { RunView(ofOpenWorkAnd: $0) } ?? RunView()
        head = claim.head
    }

    /// Takes in a part of the history; all of it, in order, before any message.
    mutating func read(_ events: [Event]) {
        view.add(events)
        for event in events {
            let isOfInterest = subjects?.contains(event.subject) ?? true
            if event.kind.rawValue.hasPrefix("step.") { note(event, isOfInterest: isOfInterest) }
            switch event.kind {
            case .stepSucceeded, .stepResolved:
                guard case .inline(let bytes)? = event.output, isOfInterest || view.step(event.subject)?.isToUndo == true else {
                    continue
                }
                outputs[event.subject] = bytes
            case .undoStarted: if !isOfInterest { outputs[event.subject] = nil }
            default: break
            }
        }
    }

    /// Of a step that could be undone here, what that needs.
    private mutating func note(_ event: Event, isOfInterest: Bool) {
        let isKnown = recorded[event.subject] != nil
        guard isOfInterest || isKnown || event.attributes.text.contains("step_type") else { return }
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        guard isOfInterest || isKnown || attributes["step_type"]?.stringValue.flatMap({ registry[$0] }) != nil else { return }
        recorded[event.subject, default: RecordedStep()].add(event, attributes)
    }

    /// Takes in the messages that need no code, and, when the run ends, all of them.
    mutating func take(_ rows: [InboxRow]) {
        ending = ending(by: rows)
        let takesEnds = rows.contains { $0.delivery.kind == .reset }
        for row in rows {
            if hasBegun(row) {
                held.append(row.number)
                continue
            }
            switch row.delivery.kind {
            case .resolve where ending == nil:
                resolve(row)
                settle(row)
            case .resolve:
                consumed.append(row.number)
                resolve(row)
            case .retry where ending == nil && row.isRetryOfRun && view.isPoisoned && !view.isPaused:
                unpark(row)
                settle(row)
            case .unpause where ending == nil:
                intervene(row)
                settle(row)
            case .pause, .unpause, .repin:
                consumed.append(row.number)
                if ending?.comesAfter(row) ?? true { intervene(row) } else { decline(row) }
            case .reset:
                if ending == nil { reset(row) } else { decline(row) }
                settle(row)
            case .childResult where ending == nil && takesEnds:
                consumed.append(row.number)
                recordEnd(of: row)
            case _ where ending == nil:
                break
            default:
                consumed.append(row.number)
                if row.number != ending?.row?.number { decline(row) }
            }
        }
        if let ending { end(ending) }
    }

    /// Takes in the messages of a run that ends as soon as all others are taken in, but for the one that ends it.
    mutating func decline(_ rows: [InboxRow]) {
        ending = ending(by: rows)
        for row in rows where row.number != ending?.row?.number {
            consumed.append(row.number)
            if hasBegun(row) { continue }
            if row.delivery.kind == .resolve {
                resolve(row)
            } else if ending?.comesAfter(row) ?? false {
                intervene(row)
            } else {
                decline(row)
            }
        }
    }

    /// What it has come to so far is durable.
    mutating func forgetCommitted() {
        (events, consumed, settles, deliveries) = ([], [], [], [])
    }

    mutating func record(_ draft: EventDraft) {
        let event = head.append(draft, run: identity.id.description, now: now)
        events.append(event)
        view.add(event)
    }

    // MARK: Pauses and versions

    private mutating func intervene(_ row: InboxRow) {
        switch row.delivery.kind {
        case .pause where view.isPaused: record(row.refusal(.runPaused, "the run is paused already"))
        case .pause: record(row.paused)
        case .unpause where view.isPaused: record(row.unpaused)
        case .unpause: record(row.refusal(.runNotPaused, "the run is not paused"))
        default:
            guard let other = row.otherVersion(than: version ?? identity.version) else {
                return record(row.refusalOfRepin(from: version ?? identity.version))
            }
            record(row.repinned(from: version ?? identity.version, to: other))
            version = other
        }
    }

    /// A person lets a poisoned run try again. On record before anything of it is begun.
    private mutating func unpark(_ row: InboxRow) {
        record(EventDraft(.operatorAction, attributes: row.attributes(("action", .string("retry")))))
        record(EventDraft(.runUnparked))
        hasUnparked = true
    }

    // MARK: Resets

    /// What nobody can settle without the code has to be settled before; what is to be undone waits for the code.
    private mutating func reset(_ row: InboxRow) {
        guard let request = row.resetRequest else { return record(row.refusal(.usage, "the reset cannot be read")) }
        if let problem = problem(of: request) { return record(row.refusal(.resetRefused, problem)) }
        let undoes = view.survey(of: request).completed.contains { $0.choice == .undo }
        record(row.resetBegins(request))
        endWaits()
        if !undoes { finishReset() }
    }

    private mutating func finishReset() {
        guard let request = view.resetting else { return }
        // Nobody undoes it any more.
        for step in view.stepsToUndo { keepKey(of: step.subject) }
        record(request.event(by: view.resettingBy))
        hasReset = true
    }

    private mutating func problem(of request: ResetRequest) -> String? {
        // One that nobody here can carry out gives way to another.
        if hasToUndo { return view.resetting == nil ? ResetProblem.isUndoing : ResetProblem.isResetting }
        let survey = view.survey(of: request)
        if let problem = survey.problem { return problem }
        if let child = survey.openChildren.first { return ResetProblem.child(child) }
        let open = view.unsettledSteps
        for step in open where !step.isInDoubt && !step.isStuck { doubt(step, .interrupted) }
        let stuck = Set(view.steps.filter { $0.isInDoubt || $0.isUndo && !$0.isOver }.map(\.subject)).sorted()
        if !stuck.isEmpty { return ResetProblem.unsettled(stuck) }
        return problem(undoing: survey.completed.filter { $0.choice == .undo }.map(\.subject))
    }

    private mutating func doubt(_ step: RunView.Step, _ reason: DoubtReason) {
        record(
            EventDraft(
                step.isUndo ? .undoInDoubt : .stepInDoubt, subject: step.subject,
                attributes: .make(
                    ("reason", .string(reason.rawValue)), ("effect", .string(step.effect)),
                    ("quiet_after", step.quietAfter.map(JSONValue.init)))))
    }

    // MARK: Steps in doubt

    private mutating func resolve(_ row: InboxRow) {
        guard let step = view.stuck(row.delivery.name) else {
            return record(row.refusal(.stepNotStuck, "no step or undo of this name waits for a person"))
        }
        guard let payload = row.delivery.payload,
            let resolution = try? Payload(bytes: payload).decode(Resolution.self, what: "a resolution")
        else { return record(row.refusal(.usage, "the resolution cannot be read")) }
        if resolution.deniesEffect, resolution.mark != view.lossMark { return record(row.refusalAfterLoss) }
        if resolution.deniesEffect, let quiet = step.quietAfter, now < quiet {
            let message = "the last attempt may still act until \(quiet); say that it did not happen after that"
            return record(row.refusal(.stepNotStuck, message))
        }
        let output = resolution.output.map { Array($0) } ?? Array("{}".utf8)
        guard case .some = try? JSONValue.parse(output, what: "the result") else {
            return record(row.refusal(.answerInvalid, "the result is not JSON"))
        }
        if resolution.kind == .undo { return undo(step, resolution, output: output, row) }
        record(resolved(step, resolution, output: output, row))
        settleKey(of: step, resolution.kind, output: output)
        hasResolved = true
    }

    mutating func refuse(_ row: InboxRow, _ code: PerdureError.Code, _ message: String) { record(row.refusal(code, message)) }

    func resolved(_ step: RunView.Step, _ resolution: Resolution, output: [UInt8], _ row: InboxRow) -> EventDraft {
        // An error that said that trying again cannot help has said so of the next attempt, too.
        let isFinalError =
            resolution.kind == .didNotHappen && step.isInDoubt && step.doubtCause == DoubtReason.nonRetryable.rawValue
        let next = isFinalError && !isAfterEnd ? (step.isUndo ? Continuation.deadLetter : .failure).name : nil
        return EventDraft(
            step.isUndo ? .undoResolved : .stepResolved, subject: step.subject,
            attributes: row.attributes(
                ("resolution", .string(resolution.kind.rawValue)), ("reason", resolution.reason.map(JSONValue.string)),
                ("mark", resolution.mark.map { .integer($0.seq) }),
                ("next", next.map(JSONValue.string)), ("without_code", true)),
            output: resolution.kind == .happened || resolution.kind == .undo ? .inline(output) : nil)
    }

    /// The business key's outcome, in the commit of the event that settles its step. An attempt that is made after all takes it anew.
    private mutating func settleKey(of step: RunView.Step, _ kind: ResolutionKind, output: [UInt8]) {
        switch (step.isUndo, kind) {
        case (false, .happened): settleKey(of: step.subject, .happened(output: output))
        case (false, _), (true, .happened): settleKey(of: step.subject, .free)
        case (true, .didNotHappen) where !isAfterEnd: break
        case (true, _): keepKey(of: step.subject)
        }
    }

    /// The effect stands: others adopt its outcome.
    private mutating func keepKey(of subject: String) {
        if let output = outputs[subject] { settleKey(of: subject, .happened(output: output)) }
    }

    mutating func settleKey(of subject: String, _ end: BusinessKeySettlement.End) {
        guard let key = view.step(subject)?.businessKey else { return }
        let name = Name.ofOperation(subject)
        settles.append(
            BusinessKeySettlement(
                key: BusinessKey(namespace: identity.namespace, step: name, key: key), subject: subject, end: end))
    }

    // MARK: The end

    private mutating func decline(_ row: InboxRow) {
        switch row.delivery.kind {
        case .keySettled: break
        case .childResult: recordEnd(of: row)
        default:
            if case .termination? = ending { return record(row.unheard) }
            record(row.unheard(.runClosed, "the run has ended in its queue"))
        }
    }

    /// Ends the run. What may have happened is what has an open intent, or was due when a process died; plain steps that were under way
    /// have left no trace, and the event says so.
    mutating func terminate(_ row: InboxRow) {
        for step in view.stepsToUndo { keepKey(of: step.subject) }
        let unsettled = view.unsettledSteps.filter { !$0.isInDoubt }
        for step in unsettled { doubt(step, .terminated) }
        for step in view.unsentSteps {
            record(
                EventDraft(
                    .stepCancelled, subject: step.subject, attributes: ["effect": .string(step.effect), "terminated": true]))
            settleKey(of: step.subject, .free)
        }
        for child in view.openChildren { terminate(child, row) }
        let reason = row.delivery.payload.flatMap { try? JSONValue.parse($0, what: "a reason") }
        close(
            with: EventDraft(.runTerminated, attributes: row.attributes(("without_code", true), ("reason", reason))), .terminated)
    }

    mutating func close(with final: EventDraft, _ state: RunState) {
        record(final)
        let result = ChildResult.delivery(
            of: final, run: identity.id, first: view.continues?.first ?? identity.id, to: view.parent)
        if let result { deliveries.append(result) }
        end = state
    }

    // MARK: Children

    /// A child has ended before its parent is.
    private mutating func recordEnd(of row: InboxRow) {
        guard let child = view.openChild(row.delivery.name),
            let result = row.delivery.payload.flatMap(ChildResult.init), result.run == child.run
        else { return }
        record(result.event(subject: child.subject, at: row.at))
    }

    private mutating func terminate(_ child: RunView.Child, _ row: InboxRow) {
        var attributes = JSONObject([("run", .string(child.run.description)), ("terminated", true)])
        if child.isAbandoned {
            attributes["abandoned"] = true
        } else {
            deliveries.append(.termination(of: child.run, by: identity.id, as: row))
        }
        record(EventDraft(.childCancelled, subject: child.subject, attributes: Attributes(attributes)))
    }
}
