import Foundation
import Perdure
import PerdureEngine
import PerdureTesting

/// A place of the tour, what comes from outside there, and what has to come of it.
struct TourStop: Sendable {
    let place: TourPlace
    var script: [ScriptedEvent] = []
    /// What a person says of a step that cannot go on; nil for the truth.
    var person: @Sendable (RunView.Step) -> PersonsWord? = { _ in nil }
    /// A race decides about the end when a process dies.
    var mayDiffer = false
    /// An interruption may bring it to the same end on another way.
    var wayMayDiffer = false
    /// What stands at the other side when nothing has interrupted it. The matrix alone compares a broken engine with itself.
    let effects: [String: Int]
    /// What must not become durable when nothing interrupts it.
    var never: [String] = []

    /// How long a commit takes.
    var commitTime = Duration.zero

    /// More than any trial needs at one time.
    private static let turnLimit = 10_000

    /// What is wrong, one sentence after the other.
    func look() async throws -> [String] {
        let report: ResumabilityReport
        do {
            report = try await CrashMatrix(
                { TourRun(world: $0) }, input: place, world: TourWorld.init, script: script, endMayDiffer: mayDiffer
            ).with(turnLimit: Self.turnLimit, commitTime: commitTime, wayMayDiffer: wayMayDiffer, person: person).run()
        } catch let failure as TestFailure {
            return [failure.description]
        }
        var findings: [String] = []
        if report.end != "completed" { findings.append("it ends as \(report.end)") }
        if report.effects != effects { findings.append("at the other side stand \(report.effects.sorted { $0.key < $1.key })") }
        for checkpoint in report.checkpoints {
            for event in never where checkpoint.what.contains(event) {
                findings.append("\(checkpoint.description), which should not be")
            }
        }
        return findings + (report.story.map { [$0] } ?? [])
    }

    static let all: [TourStop] = TourPlace.stops.map(stop)

    private static func notes(_ texts: String...) -> [String: Int] {
        Dictionary(texts.map { ($0, 1) }) { first, _ in first }
    }

    private static func retries(_ step: RunView.Step) -> PersonsWord? { step.isInDoubt ? nil : .retry }

    private static func stop(_ place: TourPlace) -> TourStop {
        switch place {
        case .approvals, .lateApprovals, .hurriedApproval, .otherView: approvals(place)
        case .keys, .freedKeys, .approvedKeys, .givenUpKeys, .givenUpApprovedKeys, .otherInput: keys(place)
        case .deadLetters, .intendedDeadLetters, .deadUndo, .givenUpDeadLetter, .undoneDeadLetter, .settledDeadLetter:
            deadLetters(place)
        case .retries, .givenUpRetries, .slowStore, .doubts, .probes, .unwanted, .unwantedDoubt, .personsUndo: doubts(place)
        default: others(place)
        }
    }

    private static func approvals(_ place: TourPlace) -> TourStop {
        let approve = ScriptedEvent.approve("open", after: .hours(1))
        return switch place {
        case .approvals:
            TourStop(
                place: place, script: [approve, .deny("close", after: .hours(1))],
                effects: notes("opened", "approval_denied", "expired"))
        case .lateApprovals:
            TourStop(
                place: place, script: [.approve("open", after: .hours(2))], effects: notes("hurry was given up", "later"),
                never: ["approval.consumed timeout[hurry]/open"])
        case .otherView:
            TourStop(place: place, script: [.approveAnother("open", after: .hours(1))], effects: notes("expired"))
        default:
            TourStop(
                place: place, script: [.signal(TourRun.Nudge.self, 1, after: .hours(1)), approve], mayDiffer: true,
                effects: notes("over"))
        }
    }

    private static func keys(_ place: TourPlace) -> TourStop {
        let approve = [ScriptedEvent.approve("charge")]
        return switch place {
        case .keys: TourStop(place: place, effects: notes("charged 7", "charge of 7"))
        case .freedKeys: TourStop(place: place, effects: notes("charged 8", "charge of 8"))
        case .approvedKeys:
            TourStop(
                place: place, script: approve,
                effects: notes("charged 7", "charge of 7", "charged 8", "charge of 8"))
        case .givenUpKeys: TourStop(place: place, effects: notes("charged 9", "waiting was given up", "charge of 9"))
        case .givenUpApprovedKeys:
            TourStop(place: place, script: approve, effects: notes("charged 9", "waiting was given up", "charge of 9"))
        default: TourStop(place: place, effects: notes("charged 7", "charge of 7, key_conflict"))
        }
    }

    private static func deadLetters(_ place: TourPlace) -> TourStop {
        switch place {
        case .deadLetters: TourStop(place: place, person: retries, effects: notes("at once", "after three"))
        case .intendedDeadLetters:
            TourStop(place: place, person: retries, effects: notes("with intent", "once", "twice"))
        case .deadUndo: TourStop(place: place, person: retries, effects: notes("step_failed"))
        case .givenUpDeadLetter:
            TourStop(
                place: place, wayMayDiffer: true, effects: notes("dead was given up", "dead later was given up"))
        case .undoneDeadLetter:
            TourStop(
                place: place, person: { $0.isUndo ? nil : .resolve(.undo(result: Data("\"\($0.subject)\"".utf8))) },
                effects: notes("half undone", "third undone", "cleaned up after half", "cleaned up after third"))
        default:
            TourStop(
                place: place, person: { $0.isInDoubt ? nil : .resolve(.happened(result: nil)) }, effects: notes("after hands"))
        }
    }

    private static func doubts(_ place: TourPlace) -> TourStop {
        switch place {
        case .retries:
            TourStop(place: place, effects: notes("third time", "third time once", "quiet"))
        case .givenUpRetries:
            TourStop(
                place: place, wayMayDiffer: true,
                effects: notes(
                    "sure was given up", "sure once was given up", "unsure was given up", "unsure read was given up"))
        case .slowStore:
            TourStop(place: place, effects: notes("intended", "intended once"), commitTime: .seconds(2))
        case .doubts: TourStop(place: place, effects: notes("silent", "silent twice", "asked"))
        case .probes: TourStop(place: place, person: retries, effects: notes("again", "no more", "happened", "half"))
        case .unwanted: TourStop(place: place, person: retries, wayMayDiffer: true, effects: notes("stays", "over"))
        case .unwantedDoubt: TourStop(place: place, person: retries, wayMayDiffer: true, effects: notes("over"))
        default:
            TourStop(place: place, person: { $0.isUndo ? nil : .resolve(.undo(result: nil)) }, effects: notes("undone"))
        }
    }

    private static func others(_ place: TourPlace) -> TourStop {
        switch place {
        case .unwinding: TourStop(place: place, effects: notes("step_failed"))
        case .messages:
            TourStop(
                place: place, script: (1...3).map { .signal(TourRun.Nudge.self, $0, after: .hours($0)) },
                effects: notes("nudge 1 was 1", "nudge 2 was 2", "nudge 3 was 3", "sum 6"))
        case .hasty:
            TourStop(
                place: place,
                script: [.signal(TourRun.Nudge.self, 1, after: .hours(1)), .signal(TourRun.Nudge.self, 2, after: .hours(1))],
                mayDiffer: true, effects: notes("calm", "calm again"),
                never: ["step.cancelled build[hasty]", "child.cancelled tour[hasty]"])
        case .children:
            TourStop(place: place, person: retries, effects: notes("napping", "took back stubbornChild 0: stubborn"))
        case .hurriedChildren:
            TourStop(
                place: place, person: retries, mayDiffer: true,
                effects: notes("over", "took back promptChild 0: promptChild", "took back promptChild 1: promptChild"))
        case .lateChild:
            TourStop(
                place: place,
                script: [
                    .signal(TourRun.Nudge.self, 1, after: .hours(1)),
                    .signal(TourRun.Nudge.self, 2, after: .hours(1) + .seconds(1)),
                ],
                mayDiffer: true, effects: notes("over", "went on"), commitTime: .seconds(2))
        default: TourStop(place: place, effects: notes("over", "went on"))
        }
    }
}
