import Perdure
package import PerdureHistory

/// One thing that befell a run or that somebody did to it, as its history tells it.
package struct RunFact: Sendable {
    /// What a fact is about. The names are stable: reports carry them.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The run was started, or goes on in another process: everything before was replayed there.
        case started, resumed
        /// An attempt failed and another one follows, or an interrupted one was made again.
        case retried
        /// What became of an attempt was not known, and what was found out.
        case doubted, settled
        /// A person approved, denied, answered.
        case decided
        /// A person, or the deadline, moved or stopped the run.
        case intervened
        /// The run stood still, and went on.
        case stood, moved
        /// The run has ended.
        case ended
    }

    package var kind: Kind
    package var event: Event
    /// Who it was, as the history names them: kind, id, and how they were authenticated.
    package var by: JSONValue?
    package var build: String?
    package var node: String?
    /// With `resumed`: whether the owner before had given the run up in order.
    package var isClean: Bool?
    /// With `resumed`: how many events the process was led through before the run went on.
    package var replayedEvents: Int64?

    /// In the order of the history.
    package static func facts(of events: [Event]) -> [RunFact] {
        var facts: [RunFact] = [], intended: [String: Int64] = [:]
        for event in events {
            let attributes = (try? event.attributes.object()) ?? JSONObject()
            guard let kind = kind(event, attributes, &intended) else { continue }
            var fact = RunFact(kind: kind, event: event)
            fact.by = attributes["by"]
            fact.build = attributes["build"]?.stringValue
            fact.node = attributes["node"]?.stringValue
            if kind == .resumed {
                fact.replayedEvents = event.seq - 1
                // Only an end that was not clean is said.
                fact.isClean = attributes["clean"]?.boolValue ?? true
            }
            facts.append(fact)
        }
        return facts
    }

    /// - Parameter intended: The last intent of each step that has no outcome yet: another one for it is a repetition.
    private static func kind(_ event: Event, _ attributes: JSONObject, _ intended: inout [String: Int64]) -> Kind? {
        let name = "\(event.kind.rawValue.prefix { $0 != "." })/\(event.subject)"
        switch event.kind {
        case .runStarted: return .started
        case .runResumed: return .resumed
        case .stepIntended, .undoStarted:
            let attempt = attributes["attempt"]?.integerValue ?? 1, before = intended[name]
            intended[name] = attempt
            return before == nil ? nil : .retried
        case .stepAttemptFailed, .undoAttemptFailed:
            intended[name] = nil
            return .retried
        case .stepSucceeded, .stepFailed, .stepCancelled, .undoSucceeded:
            intended[name] = nil
            return nil
        case .undoFailed, .stepInDoubt, .undoInDoubt: return .doubted
        case .stepResolved, .undoResolved:
            intended[name] = nil
            return .settled
        case .approvalDecided, .approvalExpired, .questionAnswered, .questionExpired: return .decided
        case .runCancelRequested, .runPaused, .runUnpaused, .runRepinned, .runReset, .runRestored, .runLossSettled,
            .runTerminated, .operatorAction:
            return event.kind == .operatorAction && attributes["action"]?.stringValue == "reset" && !attributes.has("refused")
                ? nil : .intervened
        case .runBlocked, .runParked: return .stood
        case .runUnblocked, .runUnparked: return .moved
        case .runCompleted, .runFailed, .runCancelled, .runContinued: return .ended
        default: return nil
        }
    }
}
