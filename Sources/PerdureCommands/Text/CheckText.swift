internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// What a deployment would do, for people: a sentence on all, then the runs of which there is something to say.
enum CheckText {
    static func render(_ result: CheckCommand.Result, build: String, style: Style) -> String {
        let runs = result.remarkable
        let fitting = result.checked - runs.count { $0.verdict != .fits }
        var lines = ["Build \(build.shortened(to: 12)): \(result.checked) runs checked, \(fitting) fit."]
        for problem in result.storeProblems { lines.append("\(style.red("cannot be read")): \(problem)") }
        for run in runs {
            lines.append("")
            lines.append(
                "\(style.bold(run.record.id.description))  \(run.record.workflow) \(run.record.version)  \(run.record.state.rawValue)"
            )
            if let verdict = sentence(run.verdict, run.record) { lines.append("  \(style.red(verdict.word)): \(verdict.text)") }
            for end in run.uncleanEnds { lines.append("  \(style.yellow("may have lost a step")): \(sentence(end))") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    static func word(_ verdict: RunRehearsal.Verdict) -> String {
        switch verdict {
        case .fits: "fits"
        case .blocks: "blocks"
        case .noCode: "no_code"
        case .unreadable: "unreadable"
        }
    }

    static func message(_ verdict: RunRehearsal.Verdict, _ record: RunRecord) -> String? {
        switch verdict {
        case .fits: nil
        case .blocks(let divergence): divergence.message
        case .noCode:
            "This executable does not host \(record.workflow) \(record.version). Keep that version beside the newer one."
        case .unreadable(let message): message
        }
    }

    private static func sentence(_ verdict: RunRehearsal.Verdict, _ record: RunRecord) -> (word: String, text: String)? {
        guard let message = message(verdict, record) else { return nil }
        return switch verdict {
        case .blocks: ("would block", message)
        case .noCode: ("would be stranded", message)
        case .fits, .unreadable: ("cannot be read", message)
        }
    }

    static func sentence(_ end: RunRehearsal.UncleanEnd) -> String {
        let build = end.build.shortened(to: 12), heir = end.heir.shortened(to: 12)
        let asked = end.asked.map { "'\($0)'" }.joined(separator: ", ")
        let code =
            asked.isEmpty ? "This code has no step under way there" : "This code has \(asked) under way there, which is settled"
        let place =
            end.seq.map { "A process of build \(build) was killed before event \($0), and build \(heir) went on." }
            ?? "A process of build \(build) was killed and nobody has taken the run over; this is build \(heir)."
        let advice =
            end.seq == nil ? " Start the build that died once more before you deploy this one, and let it end in order." : ""
        return "\(place) \(code); any other plain step that was under way has left no trace.\(advice)"
    }
}
