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
    static func excuse(_ row: String, _ fault: FaultKind) -> String? { nil }

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
