import Perdure
import PerdureHistory
import PerdureStore

extension InboxRow {
    /// Who sent the message, its id, and when it was accepted; with more members where the event has more to say.
    func attributes(_ members: (String, JSONValue?)...) -> Attributes {
        var object = JSONObject([
            ("by", JSONValue(delivery.sender)), ("delivery", .string(delivery.id)), ("accepted_at", JSONValue(at)),
        ])
        for case (let name, let value?) in members { object[name] = value }
        return Attributes(object)
    }

    /// What was asked for and is not done, and why: nothing that a person does vanishes.
    func refusal(_ code: PerdureError.Code, _ message: String) -> EventDraft {
        EventDraft(
            .operatorAction, subject: delivery.name,
            attributes: attributes(
                ("action", .string(delivery.kind.rawValue)), ("refused", .string(code.rawValue)), ("message", .string(message))))
    }

    /// Why a word is not believed that names another mark of a loss than the last one.
    var refusalAfterLoss: EventDraft {
        refusal(
            .runRestored, "history was lost since this was said, or the run was continued; look at it once more and say it again")
    }

    /// The mark of a loss that the sender of a `retry` has seen.
    var markOfRetry: LossMark? {
        guard let payload = delivery.payload else { return nil }
        return (try? Payload(bytes: payload).decode(StepRetry.self, what: "a retry"))?.mark
    }

    /// What becomes of a message that comes while the run is being terminated.
    var unheard: EventDraft { unheard(.runTerminated, "the run is being terminated") }

    /// What becomes of a message to a run that ends, and whose code does not hear of it.
    func unheard(_ code: PerdureError.Code, _ message: String) -> EventDraft {
        switch delivery.kind {
        case .signal: signal(.signalUndelivered)
        case .update: unheardUpdate
        default: refusal(code, message)
        }
    }

    func signal(_ kind: EventKind) -> EventDraft {
        EventDraft(
            kind, subject: delivery.name, attributes: attributes(), input: .inline(delivery.payload ?? Array("null".utf8)))
    }

    /// A `retry` that speaks of the run, not of one of its steps.
    var isRetryOfRun: Bool { delivery.kind == .retry && delivery.name.isEmpty }
}
