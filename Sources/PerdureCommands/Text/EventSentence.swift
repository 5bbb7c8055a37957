internal import Perdure
internal import PerdureEngine
package import PerdureHistory

/// What one event says, without its subject and time.
package enum EventSentence {
    package static func text(_ event: Event, start: Timestamp) -> String {
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        let family = event.kind.rawValue.prefix { $0 != "." }
        switch family {
        case "run": return run(event, attributes)
        case "step", "undo": return step(event, attributes, start)
        case "approval": return approval(event, attributes, start)
        case "question": return question(event, attributes, start)
        case "child": return child(event, attributes)
        default: return other(event, attributes, start)
        }
    }

    package static func tone(_ event: Event) -> TimelineText.Tone {
        switch event.kind {
        case .runCompleted, .runContinued, .stepSucceeded, .childCompleted: .good
        case .runFailed, .runTerminated, .stepFailed, .undoFailed, .stepAttemptFailed, .undoAttemptFailed, .childFailed: .bad
        case .runBlocked, .runParked, .runPaused, .stepInDoubt, .undoInDoubt, .approvalRequested, .questionAsked,
            .runCancelRequested, .childCancelRequested:
            .attention
        case .runResumed: (try? event.attributes.object())?["clean"]?.boolValue == false ? .attention : .plain
        default: .plain
        }
    }

    private static func after(_ label: String, _ value: String?) -> String { value.map { label + $0 } ?? "" }

    private static func message(_ attributes: JSONObject, separator: String = ": ") -> String {
        let type = attributes["type"]?.stringValue ?? "", message = attributes["message"]?.stringValue ?? ""
        let text = [type, message].filter { !$0.isEmpty }.joined(separator: ": ")
        return text.isEmpty ? "" : separator + text
    }

    private static func why(_ attributes: JSONObject) -> String {
        after(": ", attributes["reason"]?.stringValue.map { "\"\($0)\"" })
    }

    private static func offset(_ attributes: JSONObject, _ key: String, _ start: Timestamp) -> String? {
        ValueText.time(attributes, key).map { ReadableTime.offset($0, from: start) }
    }

    // MARK: Runs

    private static func run(_ event: Event, _ attributes: JSONObject) -> String {
        switch event.kind {
        case .runStarted:
            "started\(after(" by schedule ", attributes["schedule"]?["id"]?.stringValue))\(after(", continuing run ", attributes["continues"]?["run"]?.stringValue))\(after(" with ", ValueText.result(event.input)))"
        case .runResumed where attributes["clean"]?.boolValue == false:
            "taken over: the process that owned it died"
        case .runResumed where attributes["watched"]?.boolValue == true:
            "brought in alone: processes died that owned it"
        case .runResumed where attributes["watched"]?.boolValue == false:
            "does its process no harm"
        case .runResumed: "goes on in another process"
        case .runBlocked: "blocked: \(attributes["message"]?.stringValue ?? "history and code do not fit")"
        case .runUnblocked: "fits the code again"
        case .runParked: "parked: \(attributes["reason"]?.stringValue ?? "waits for a person")"
        case .runUnparked: "no longer parked"
        case .runPaused: "paused by \(ValueText.who(attributes))\(why(attributes))"
        case .runUnpaused: "resumed by \(ValueText.who(attributes))"
        case .runRepinned:
            "goes on with version \(attributes["to"]?.stringValue ?? "") in place of \(attributes["from"]?.stringValue ?? ""), "
                + "says \(ValueText.who(attributes))"
        case .runForked:
            "goes on from event \(attributes["seq"]?.integerValue ?? 0) of run \(attributes["run"]?.stringValue ?? ""), says "
                + "\(ValueText.who(attributes))\(why(attributes))"
        case .runRestored:
            "what followed may be lost, and may have happened all the same, says \(ValueText.who(attributes))"
        case .runLossSettled: "what was lost has been looked at, says \(ValueText.who(attributes))\(why(attributes))"
        case .runReset:
            "goes on after event \(attributes["to"]?.integerValue ?? 0), says \(ValueText.who(attributes))\(why(attributes))"
        case .runCancelRequested where attributes.members.contains { $0.key == "deadline" }:
            "its deadline passed: cancellation asked for"
        case .runCancelRequested: "cancellation asked for by \(ValueText.who(attributes))"
        case .runCompleted: "completed\(after(" with ", ValueText.result(event.output)))"
        case .runContinued:
            "continued as run \(attributes["run"]?.stringValue ?? "unknown")\(after(" with ", ValueText.result(event.output)))"
        case .runFailed: "failed with \(attributes["code"]?.stringValue ?? "an error")\(message(attributes))"
        case .runCancelled: "cancelled"
        case .runTerminated: "terminated by \(ValueText.who(attributes))\(why(attributes))"
        default: event.kind.rawValue
        }
    }

    // MARK: Steps

    private static func step(_ event: Event, _ attributes: JSONObject, _ start: Timestamp) -> String {
        let attempt = attributes["attempt"]?.integerValue ?? 1
        switch event.kind {
        case .stepIntended, .undoStarted:
            let reason = after("; irreversible: ", attributes["irreversible"]?.stringValue)
            return "attempt \(attempt) intended\(effect(attributes))\(after(" with ", ValueText.result(event.input)))\(reason)"
        case .stepAttemptFailed, .undoAttemptFailed:
            let next = offset(attributes, "next_at", start).map { "next at \($0)" } ?? "no attempts left"
            let certainty = attributes["definite"]?.boolValue == true ? "did not happen" : "may have happened"
            return "attempt \(attempt) failed, \(certainty)\(message(attributes)); \(next)"
        case .stepSucceeded, .undoSucceeded:
            let input = event.input == nil ? "" : after(" ", ValueText.result(event.input))
            let result = after(" → ", ValueText.result(event.output))
            if let other = attributes["adopted_from"]?.stringValue { return "done by run \(other)\(result)" }
            return "done\(input)\(result)\(attempt > 1 ? " at attempt \(attempt)" : "")"
        case .stepFailed, .undoFailed: return "failed for good\(message(attributes))"
        case .stepCancelled: return "cancelled before it happened"
        case .stepInDoubt, .undoInDoubt:
            return "in doubt: \(RunExplanation.reason(attributes["reason"]?.stringValue))\(message(attributes, separator: " – "))"
        default:
            return
                "\(resolution(attributes)), says \(ValueText.who(attributes))\(why(attributes))\(after(" → ", ValueText.result(event.output)))"
        }
    }

    private static func effect(_ attributes: JSONObject) -> String {
        switch attributes["effect"]?.stringValue {
        case EffectKind.atMostOnce.name: ", at most once"
        case EffectKind.transactional.name: ", in a transaction of the store"
        default: ""
        }
    }

    private static func resolution(_ attributes: JSONObject) -> String {
        switch attributes["resolution"]?.stringValue.flatMap(ResolutionKind.init) {
        case .happened: "it happened"
        case .didNotHappen: "it did not happen"
        case .undo: "it happened and is to be undone"
        case .abort: "it did not happen and the run is to end"
        case nil: "resolved"
        }
    }

    // MARK: People

    private static func approval(_ event: Event, _ attributes: JSONObject, _ start: Timestamp) -> String {
        switch event.kind {
        case .approvalRequested:
            let limit = after(" until ", offset(attributes, "expires_at", start))
            return "approval asked of \(attributes["approver"]?.stringValue ?? "somebody")\(limit), "
                + "view \((attributes["view_digest"]?.stringValue ?? "").prefix(12))"
        case .approvalDecided:
            let verb = attributes["approved"]?.boolValue == true ? "approved" : "denied"
            return "\(verb) by \(ValueText.who(attributes))\(why(attributes))"
        case .approvalConsumed: return "approval used"
        case .approvalExpired: return "nobody decided in time, which is a denial"
        case .approvalCancelled: return "approval no longer needed"
        default: return event.kind.rawValue
        }
    }

    private static func question(_ event: Event, _ attributes: JSONObject, _ start: Timestamp) -> String {
        switch event.kind {
        case .questionAsked:
            let limit = after(" until ", offset(attributes, "expires_at", start))
            return
                "asked of \(attributes["approver"]?.stringValue ?? "somebody")\(limit)\(after(": ", ValueText.short(event.input, limit: 120)))"
        case .questionAnswered: return "answered by \(ValueText.who(attributes))\(after(": ", ValueText.short(event.output)))"
        case .questionExpired: return "nobody answered in time"
        default: return "no longer asked"
        }
    }

    // MARK: Children

    private static func child(_ event: Event, _ attributes: JSONObject) -> String {
        let run = attributes["run"]?.stringValue ?? "unknown"
        switch event.kind {
        case .childStarted:
            let way = attributes["detached"]?.boolValue == true ? ", which goes on by itself" : ""
            let reason = after("; irreversible: ", attributes["irreversible"]?.stringValue)
            return "started as run \(run)\(way)\(after(" with ", ValueText.result(event.input)))\(reason)"
        case .childCancelRequested: return "told to end"
        case .childCompleted: return "completed\(after(" → ", ValueText.result(event.output)))"
        case .childFailed: return "failed with \(attributes["code"]?.stringValue ?? "an error")\(message(attributes))"
        case .childCancelled where attributes["abandoned"]?.boolValue == true: return "no longer waited for; it goes on by itself"
        case .childCancelled where attributes["run"] == nil: return "given up before it was started"
        case .childCancelled where attributes["terminated"]?.boolValue == true: return "terminated with this run"
        default: return "cancelled"
        }
    }

    private static func other(_ event: Event, _ attributes: JSONObject, _ start: Timestamp) -> String {
        switch event.kind {
        case .timerStarted: return "waits\(after(" until ", offset(attributes, "due", start)))"
        case .timerFired: return "time is up"
        case .timerCancelled: return "no longer waited for"
        case .signalReceived: return "signal from \(ValueText.who(attributes))\(after(": ", ValueText.short(event.input)))"
        case .signalUndelivered: return "signal from \(ValueText.who(attributes)) that nobody took"
        case .updateReceived: return "update from \(ValueText.who(attributes))\(after(": ", ValueText.short(event.input)))"
        case .updateCompleted:
            return "answers '\(attributes["name"]?.stringValue ?? "")'\(after(": ", ValueText.short(event.output)))"
        case .updateRejected: return "rejects '\(attributes["name"]?.stringValue ?? "")'\(message(attributes))"
        case .statusReported: return "reports\(after(" ", ValueText.short(event.input)))"
        case .labelsChanged: return "labelled \(attributes["labels"]?.canonicalText ?? "")"
        case .versionPatched: return "follows this change of the code"
        case .operatorAction:
            let action = attributes["action"]?.stringValue ?? "action"
            let refusal = attributes["refused"] == nil ? "" : ", refused\(message(attributes))"
            return "\(action) by \(ValueText.who(attributes))\(refusal)"
        default: return event.kind.rawValue
        }
    }
}
