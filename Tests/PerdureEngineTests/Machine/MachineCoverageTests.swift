import Foundation
import PerdureHistory
import Testing

@testable import PerdureEngine

/// Nothing of the machine is only believed: every transition is taken and every kind of event is fed by some scenario.
@Suite struct MachineCoverageTests {
    @Test func `the scenarios take every transition and feed every kind of event`() throws {
        try ScenarioList.runAll()
        for program in Program.all {
            let run = try MachineDriver(program.code)
            run.outcomes = program.outcomes
            try run.playToTheEnd()
        }
        let untaken = StepTransition.all.filter { !Coverage.transitions.contains($0) }
        #expect(untaken.isEmpty, "no scenario takes \(untaken)")
        let untakenByChildren = ChildTransition.all.filter { !Coverage.childTransitions.contains($0) }
        #expect(untakenByChildren.isEmpty, "no scenario takes \(untakenByChildren)")
        let unfed = EventKind.allCases.filter { !Self.unknown.contains($0) && !Coverage.kinds.contains($0) }
        #expect(unfed.isEmpty, "no scenario feeds \(unfed)")
    }

    @Test func `a transition stands in the list once`() {
        #expect(Set(StepTransition.all).count == StepTransition.all.count)
        #expect(Set(ChildTransition.all).count == ChildTransition.all.count)
        for from in StepPhase.allCases {
            for to in StepPhase.allCases {
                #expect(StepTransition(from, to).isLegal == StepTransition.all.contains(StepTransition(from, to)))
            }
        }
    }

    @Test func `a kind of event that this release cannot replay is told`() throws {
        for kind in Self.unknown where kind != .approvalEscalated {
            let run = try MachineDriver(.idempotent("a"))
            #expect(throws: Divergence.self, "\(kind)") { try run.record(EventDraft(kind, subject: "a")) }
        }
    }

    /// Kinds that later releases write.
    static let unknown: Set<EventKind> = [
        .runExpired, .runSealed, .approvalEscalated,
    ]
}
