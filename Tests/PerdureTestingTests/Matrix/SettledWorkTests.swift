import Perdure
import PerdureHistory
import Testing

@testable import PerdureTesting

/// What the matrix knows of work that must not begin again.
@Suite(.timeLimit(.minutes(1))) struct SettledWorkTests {
    private let run = RunID(milliseconds: 1, random: (1, 1)), other = RunID(milliseconds: 1, random: (1, 2))

    private func settled() -> SettledWork {
        var settled = SettledWork()
        settled.note(.stepSucceeded, "pay", in: run)
        settled.note(.stepFailed, "send", in: run)
        settled.note(.undoSucceeded, "pay", in: run)
        settled.note(.stepSucceeded, "pay", in: other)
        return settled
    }

    @Test func `an outcome on disk settles the step, or its undo, of its run`() {
        let settled = settled()
        #expect(settled.contains("pay", isUndo: false, in: run) && settled.contains("pay", isUndo: true, in: run))
        #expect(settled.contains("send", isUndo: false, in: run) && !settled.contains("send", isUndo: true, in: run))
        #expect(!settled.contains("send", isUndo: false, in: other))
    }

    @Test func `a person's word about one step says nothing of the others`() {
        var settled = settled()
        settled.note(.stepResolved, "send", in: run)
        #expect(!settled.contains("send", isUndo: false, in: run))
        #expect(settled.contains("pay", isUndo: false, in: run) && settled.contains("pay", isUndo: true, in: run))
    }

    @Test func `after a reset everything of the run may be done anew`() {
        var settled = settled()
        settled.note(.runReset, "", in: run)
        #expect(!settled.contains("pay", isUndo: false, in: run) && !settled.contains("pay", isUndo: true, in: run))
        #expect(settled.contains("pay", isUndo: false, in: other))
    }
}
