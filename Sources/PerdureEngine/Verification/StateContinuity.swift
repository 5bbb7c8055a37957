import Perdure
package import PerdureHistory

/// Whether every event of a history continues the state that the events before it define. Pure; it needs the events alone.
///
/// `HistoryVerifier` judges effects: what was sent, and how often. This judges the state that a run is resumed with: attempts are counted
/// on, a wait is open until its one end, a run that stands still begins nothing. A reset puts the state back to what it was at the event
/// that it names.
package struct StateContinuity: Sendable {
    /// What a history has to keep. The names are stable: reports carry them.
    package enum Rule: String, Sendable, Hashable, CaseIterable {
        /// An attempt that failed has used up its number, and numbers never go back.
        case attempt
        /// Timers, questions and approvals begin before they end, end once, and not before they are due.
        case wait
        /// A run is unblocked, unparked or resumed from what it was in, and a blocked one begins no step. It may be undone: that needs none
        /// of its code.
        case standstill
        /// An outcome is not followed by anything but its undoing.
        case outcome
    }

    package struct Problem: Sendable, Hashable {
        package var seq: Int64
        package var rule: Rule
        package var message: String
    }

    private enum Wait { case timer(due: Int64?), question, approval }

    private struct Attempts {
        var last: Int64 = 0
        /// The highest number that is used up.
        var usedUp: Int64 = 0
        var isOver = false
    }

    private struct State {
        var steps: [String: Attempts] = [:]
        var undos: [String: Attempts] = [:]
        var waits: [String: Wait] = [:]
        /// Waits that were open where a reset went back to: they go on, or begin once more with the time that they had.
        var mayBeginAgain: Set<String> = []
        var isBlocked = false
        var isParked = false
        var isPaused = false
    }

    package private(set) var problems: [Problem] = []
    private var state = State()
    /// What still counts: a reset goes back to a part of it.
    private var effective: [Event] = []
    private var isJudging = true

    /// - Parameter events: The whole history.
    package init(_ events: [Event]) {
        for event in events {
            if event.kind == .runReset { goBack(to: attributes(event)["to"]?.integerValue ?? event.seq) }
            take(event)
            effective.append(event)
        }
    }

    private mutating func wrong(_ event: Event, _ rule: Rule, _ message: String) {
        if isJudging { problems.append(Problem(seq: event.seq, rule: rule, message: message)) }
    }

    private func attributes(_ event: Event) -> JSONObject { (try? event.attributes.object()) ?? JSONObject() }

    private mutating func goBack(to seq: Int64) {
        // A reset is a person's, and leaves the run to its owner: what stands still outside of its code goes on to.
        let isPaused = state.isPaused
        effective.removeAll { $0.seq > seq }
        state = State()
        isJudging = false
        for event in effective { take(event) }
        isJudging = true
        (state.isPaused, state.isBlocked, state.isParked) = (isPaused, false, false)
        // What was settled for the reset is done again from its first attempt, in another generation.
        state.steps = state.steps.filter(\.value.isOver)
        state.undos = state.undos.filter(\.value.isOver)
        state.mayBeginAgain = Set(state.waits.keys)
    }

    private mutating func take(_ event: Event) {
        switch event.kind {
        case .runBlocked, .runUnblocked, .runParked, .runUnparked, .runPaused, .runUnpaused, .runRepinned: takeStandstill(event)
        case .stepIntended, .stepAttemptFailed, .stepSucceeded, .stepFailed, .stepCancelled, .stepInDoubt, .stepResolved:
            takeStep(event, \.steps)
        case .undoStarted, .undoAttemptFailed, .undoSucceeded, .undoFailed, .undoInDoubt, .undoResolved: takeStep(event, \.undos)
        case .timerStarted, .questionAsked, .approvalRequested: beginWait(event)
        case .timerFired, .timerCancelled, .questionAnswered, .questionExpired, .questionCancelled, .approvalDecided,
            .approvalExpired, .approvalCancelled, .approvalVoided:
            endWait(event)
        case .childStarted: checkMoves(event)
        case .runRestored:
            // Approvals that were open are asked for anew, if need be.
            state.waits = state.waits.filter { wait in
                if case .approval = wait.value { false } else { true }
            }
        default: break
        }
    }

    // MARK: Standing still

    private mutating func takeStandstill(_ event: Event) {
        func no(_ what: String) -> String { "\(event.kind.rawValue) stands there, but the run was not \(what)." }
        switch event.kind {
        case .runBlocked: state.isBlocked = true
        case .runUnblocked:
            if !state.isBlocked { wrong(event, .standstill, no("blocked")) }
            state.isBlocked = false
        case .runParked: state.isParked = true
        case .runUnparked:
            if !state.isParked { wrong(event, .standstill, no("parked")) }
            state.isParked = false
        case .runPaused:
            if state.isPaused { wrong(event, .standstill, "The run is paused a second time.") }
            state.isPaused = true
        case .runUnpaused:
            if !state.isPaused { wrong(event, .standstill, no("paused")) }
            state.isPaused = false
        default: state.isBlocked = false
        }
    }

    /// Code that does not fit asks for nothing.
    private mutating func checkMoves(_ event: Event) {
        guard state.isBlocked else { return }
        wrong(event, .standstill, "\(event.kind.rawValue) of '\(event.subject)' begins while the run is blocked.")
    }

    // MARK: Attempts

    private mutating func takeStep(_ event: Event, _ tracks: WritableKeyPath<State, [String: Attempts]>) {
        let attributes = attributes(event)
        var track = state[keyPath: tracks][event.subject] ?? Attempts()
        if track.isOver {
            wrong(event, .outcome, "\(event.kind.rawValue) of '\(event.subject)' stands behind its outcome.")
        }
        if event.kind == .stepIntended { checkMoves(event) }
        if let attempt = attributes["attempt"]?.integerValue {
            if attempt < track.last {
                wrong(event, .attempt, "'\(event.subject)' goes back from attempt \(track.last) to \(attempt).")
            } else if attempt <= track.usedUp, Self.isMade(event.kind) {
                wrong(event, .attempt, "'\(event.subject)' makes attempt \(attempt), which had failed before, again.")
            }
            track.last = attempt
            if event.kind == .stepAttemptFailed || event.kind == .undoAttemptFailed { track.usedUp = attempt }
        }
        switch event.kind {
        case .stepSucceeded, .stepFailed, .stepCancelled, .undoSucceeded: track.isOver = true
        case .stepResolved, .undoResolved:
            track.isOver = attributes["resolution"]?.stringValue != ResolutionKind.didNotHappen.rawValue
        default: break
        }
        state[keyPath: tracks][event.subject] = track
    }

    /// Whether the event says that its attempt was made, or is about to be.
    private static func isMade(_ kind: EventKind) -> Bool {
        switch kind {
        case .stepIntended, .undoStarted, .stepAttemptFailed, .undoAttemptFailed, .stepSucceeded, .undoSucceeded: true
        default: false
        }
    }

    // MARK: Waits

    private static func name(_ event: Event) -> String { "\(event.kind.rawValue.prefix { $0 != "." }) '\(event.subject)'" }

    private mutating func beginWait(_ event: Event) {
        let name = Self.name(event)
        checkMoves(event)
        let isAgain = state.mayBeginAgain.remove(name) != nil
        if state.waits[name] != nil, !isAgain { wrong(event, .wait, "\(name) begins a second time.") }
        state.waits[name] =
            switch event.kind {
            case .timerStarted: .timer(due: attributes(event)["due"]?.integerValue)
            case .questionAsked: .question
            default: .approval
            }
    }

    private mutating func endWait(_ event: Event) {
        let name = Self.name(event)
        guard let wait = state.waits.removeValue(forKey: name) else {
            // One that was given up before it had begun is only said to be so.
            if event.kind != .timerCancelled, event.kind != .questionCancelled, event.kind != .approvalCancelled {
                wrong(event, .wait, "\(name) ends with \(event.kind.rawValue), but is not open.")
            }
            return
        }
        if event.kind == .timerFired, case .timer(let due?) = wait, event.at.microseconds < due {
            wrong(event, .wait, "\(name) fires before it is due.")
        }
    }
}
