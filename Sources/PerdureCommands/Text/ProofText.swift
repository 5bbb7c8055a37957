internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// The proofs of one run, and what befell it.
enum ProofText {
    static func render(_ proof: RunProof, start: Timestamp, style: Style) -> String {
        func line(_ name: String, _ verdict: RunProof.Verdict, _ meaning: String) -> String {
            let word =
                switch verdict {
                case .proven: style.green("proven")
                case .refuted: style.red("REFUTED")
                case .notProven: style.yellow("not proven")
                }
            return "  \(name.padded(to: 16)) \(word)  \(style.dim(verdict.reason.map { $0.shortened(to: 400) } ?? meaning))"
        }
        var lines = [
            line("replay fidelity", proof.replay, "the code here retells the history; nothing was executed"),
            line(
                "state continuity", proof.continuity,
                "nothing completed was done again; every event continues the state before it"),
            line("evidence chain", proof.chain, "nothing was changed, left out or put in since it was written"),
        ]
        guard !proof.facts.isEmpty else { return lines.joined(separator: "\n") + "\n" }
        lines.append("  what befell it:")
        let width = proof.facts.map { String($0.event.seq).count }.max() ?? 1
        for fact in proof.facts {
            let subject = fact.event.subject.isEmpty ? "" : "\(fact.event.subject.shortened(to: 40)): "
            let time = ReadableTime.offset(fact.event.at, from: start)
            lines.append(
                "    \(style.dim("\(String(fact.event.seq).indented(to: width))  \(time)"))  \(subject)\(sentence(fact, start))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func sentence(_ fact: RunFact, _ start: Timestamp) -> String {
        var text = EventSentence.text(fact.event, start: start).shortened(to: 240)
        switch fact.kind {
        case .started: text += " by \(RunExplanation.name(fact.by) ?? "somebody")\(place(fact))"
        case .resumed: text += "\(place(fact)); \(fact.replayedEvents ?? 0) events were replayed"
        default: break
        }
        return text
    }

    private static func place(_ fact: RunFact) -> String {
        let node = fact.node.map { ", node \($0.shortened(to: 40))" } ?? ""
        return node + (fact.build.map { ", build \($0.shortened(to: 12))" } ?? "")
    }

    static func add(_ proof: RunProof, to report: JSONValue) -> JSONValue {
        var object = report.objectValue ?? JSONObject()
        func json(_ verdict: RunProof.Verdict) -> JSONValue {
            .members(("verdict", .string(verdict.name)), ("reason", verdict.reason.map(JSONValue.string)))
        }
        object["proofs"] = .members(
            ("replay", json(proof.replay)), ("continuity", json(proof.continuity)), ("chain", json(proof.chain)))
        let start = proof.facts.first?.event.at ?? .epoch
        object["statement"] = .array(
            proof.facts.map { fact in
                .members(
                    ("seq", .integer(fact.event.seq)), ("at", JSONValue(time: fact.event.at)),
                    ("fact", .string(fact.kind.rawValue)),
                    ("subject", fact.event.subject.isEmpty ? nil : .string(fact.event.subject)),
                    ("text", .string(EventSentence.text(fact.event, start: start))), ("by", fact.by),
                    ("build", fact.build.map(JSONValue.string)), ("node", fact.node.map(JSONValue.string)),
                    ("clean", fact.isClean.map(JSONValue.bool)), ("replayed_events", fact.replayedEvents.map(JSONValue.integer)))
            })
        return .object(object)
    }
}
