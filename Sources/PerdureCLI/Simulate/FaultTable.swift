import Foundation
import PerdureEngine
import PerdureHistory

/// How often each thing that can become durable, or be done, met each fault.
struct FaultTable: Sendable {
    /// What runs of the swarm's shapes can bring into a commit.
    static let kinds: [EventKind] = [
        .runStarted, .runResumed, .runParked, .runUnparked, .runCancelRequested, .runCompleted, .runFailed, .runCancelled,
        .runTerminated, .stepIntended, .stepAttemptFailed, .stepSucceeded, .stepFailed, .stepCancelled, .stepInDoubt,
        .stepResolved, .timerStarted, .timerFired, .timerCancelled, .signalReceived, .signalUndelivered, .approvalRequested,
        .approvalDecided, .approvalExpired, .approvalConsumed, .approvalCancelled, .childStarted, .childCancelRequested,
        .childCompleted, .childFailed, .childCancelled, .undoStarted, .undoAttemptFailed, .undoSucceeded, .undoFailed,
        .undoInDoubt, .undoResolved, .operatorAction,
    ]
    /// What becomes durable without an event of its own.
    static let others = ["message", "rest"]
    /// What the machine goes through when a commit is durable.
    static let transitions = StepTransition.all.filter { !$0.beginsBody }.map(\.row) + ChildTransition.all.map(\.row)
    static let rows = kinds.map(\.rawValue) + others + transitions
    /// What happens beside commits: bodies, and what the machine goes through when they begin.
    static let bodies = ["attempt", "undo", "probe"] + StepTransition.all.filter(\.beginsBody).map(\.row)
    /// At which a fault can be aimed.
    static let aims = rows.filter { row in FaultKind.ofCommits.contains { excuse(row, $0) == nil } }

    private(set) var counts: [String: [FaultKind: Int]] = [:]
    /// How often each was there, with a fault or without.
    private(set) var seen: [String: Int] = [:]

    mutating func saw(_ row: String) { seen[row, default: 0] += 1 }
    mutating func note(_ fault: FaultKind, at row: String) { counts[row, default: [:]][fault, default: 0] += 1 }

    mutating func add(_ other: FaultTable) {
        for (row, count) in other.seen { seen[row, default: 0] += count }
        for (row, faults) in other.counts { counts[row, default: [:]].merge(faults) { $0 + $1 } }
    }

    /// Pairs that can occur and did not.
    ///
    /// - Parameter withClocks: Whether clocks may jump.
    func missing(withClocks: Bool) -> [String] {
        let commits = Self.rows.flatMap { row in FaultKind.ofCommits.map { (row, $0) } }
        let bodies = Self.bodies.flatMap { row in FaultKind.ofBodies.map { (row, $0) } }
        return (commits + bodies).filter { $0.1 != .clockJump || withClocks }
            .filter { counts[$0.0]?[$0.1] == nil && Self.excuse($0.0, $0.1) == nil }
            .map { "\($0.0) × \($0.1.rawValue)" }
    }

    /// Why a pair cannot occur.
    static func excuse(_ row: String, _ fault: FaultKind) -> String? {
        if row == "message", !fault.isStores { return "messages come from people, who have no process" }
        return excuses[row]
    }

    private static let unrecorded = "it is taken between two events, while the code runs or comes to rest: no commit brings it"
    private static let byKey = "it is taken because of what the store says of a key, and recorded by nothing"
    private static let onReplay = "only a replay takes it: live, whoever commits the event has run the body or the probe itself"

    private static let afterLoss = "only a history that goes back brings it, and none does here"

    /// Why a transition cannot be met by any fault.
    private static let excuses: [String: String] = [
        "step requested → released": unrecorded, "step requested → ended": unrecorded, "child requested → released": unrecorded,
        "child requested → ended": unrecorded, "step released → abandoned": unrecorded,
        "step awaitingApproval → abandoned": unrecorded, "step approved → abandoned": unrecorded,
        "step awaitingKey → abandoned": unrecorded, "child released → abandoned": unrecorded,
        "child started → abandoned": unrecorded,
        "step released → awaitingKey": byKey, "step approved → awaitingKey": byKey, "step awaitingKey → released": byKey,
        "step awaitingKey → approved": byKey,
        "step released → backingOff": onReplay, "step released → deadLetter": onReplay, "step released → undoing": onReplay,
        "step intended → backingOff": onReplay, "step intended → deadLetter": onReplay, "step intended → undoing": onReplay,
        "step backingOff → backingOff": onReplay, "step backingOff → deadLetter": onReplay, "step backingOff → undoing": onReplay,
        "step inDoubt → backingOff": onReplay, "step inDoubt → deadLetter": onReplay,
        "step abandoned → intended": "the code gives the step up while the commit is under way, and a fault has met it by then",
        "step awaitingApproval → released": afterLoss, "step approved → released": afterLoss,
        "step awaitingKey → inDoubt": afterLoss, "step deadLetter → inDoubt": afterLoss,
        "step deadLetter → undoing": "nobody who says the truth has undone what surely has not happened",
    ]

    /// Few seeds come by these, so that in most of them a fault waits for each.
    static let rare = [
        "run.terminated", "signal.undelivered", "undo.in_doubt", "undo.resolved", "undo.failed", "child.failed",
        "child.cancelled",
        "child.cancel_requested", "approval.expired", "step released → inDoubt", "step approved → ended",
        "step awaitingKey → ended", "step intended → intended", "step intended → ended", "step intended → inDoubt",
        "step backingOff → intended", "step backingOff → inDoubt", "step backingOff → ended", "step inDoubt → released",
        "step inDoubt → undoing", "step inDoubt → ended", "step probing → inDoubt", "step probing → released",
        "step probing → backingOff", "step probing → deadLetter", "step deadLetter → ended", "child started → cancelling",
        "child started → undoing", "child cancelling → undoing", "child cancelling → ended", "child undoing → ended",
        "child abandoned → ended",
    ]

    var text: [String] {
        let names = FaultKind.allCases.map(\.rawValue)
        func line(_ first: String, _ cells: [String]) -> String {
            first.padding(toLength: 34, withPad: " ", startingAt: 0)
                + zip(cells, names).map { cell, name in
                    String(repeating: " ", count: max(1, name.count + 2 - cell.count)) + cell
                }.joined()
        }
        var lines = [line("", names) + "      seen"]
        for row in Self.rows + Self.bodies {
            lines.append(
                line(row, FaultKind.allCases.map { "\(counts[row]?[$0] ?? 0)" }) + "  \(seen[row] ?? 0)")
        }
        return lines
    }
}

extension StepTransition {
    var row: String { "step \(self)" }
    fileprivate var beginsBody: Bool { to == .running || to == .probing }
}

extension ChildTransition {
    var row: String { "child \(self)" }
}
