import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let unclear = MachineDriver.failure()
private let refused = MachineDriver.failure(isDefinite: true)

/// Runs whose history has lost its end: the store was restored, or a replica took over that was behind.
@Suite struct MachineLostScenarios {
    // MARK: At most once

    // Promise: 4
    @Test func `an at-most-once step that is asked for after a loss is asked about, not sent`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .atMostOnce("b"), .idempotent("c")]))
        try run.end("a")
        try run.end("b")
        #expect(run.historyText == ["run.started", "step.succeeded a", "step.intended b", "step.succeeded b"])
        try run.restore(to: 1)
        try run.end("a")
        #expect(
            run.historyText == [
                "run.started", "run.restored", "run.resumed", "step.succeeded a", "step.intended b", "step.in_doubt b",
                "run.parked",
            ])
        #expect(run.calls.map(\.subject) == ["a", "a"], "what was sent in the lost part is not sent again")
        #expect(try run.history[5].attributes.object()["reason"]?.stringValue == "lost")
        try run.resolve("b", .happened)
        try run.playToTheEnd()
        #expect(run.calls.map(\.subject) == ["a", "a", "c"])
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a probe finds out what became of a step that the lost part may have sent`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .atMostOnce("b", probe: true)]))
        try run.end("r")
        try run.end("b")
        try run.restore(to: 1)
        try run.end("r")
        #expect(run.historyText.last == "step.in_doubt b")
        try run.endProbe("b", .didNotHappen)
        #expect(run.calls.count { $0.body == .step && $0.subject == "b" } == 0, "not believed while the lost attempt may act")
        try run.passUntilDue()
        try run.endProbe("b", .happened(MachineDriver.done))
        #expect(run.machine.isClosed)
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a person says that nothing was lost, and the step is sent`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .atMostOnce("b")]))
        try run.end("r")
        try run.restore(to: 1)
        try run.end("r")
        try run.pass(.minutes(10))
        try run.resolve("b", .didNotHappen)
        #expect(run.historyText.suffix(3) == ["step.resolved b", "run.unparked", "step.intended b"])
        try run.end("b")
        #expect(run.machine.isClosed)
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `an intent that was kept is in doubt after a loss`() throws {
        let run = try MachineDriver(.sequence([.atMostOnce("b"), .read("r")]))
        #expect(run.historyText == ["run.started", "step.intended b"])
        try run.end("b")
        try run.restore(to: 2, isTakeover: false)
        #expect(run.kinds.contains(.stepInDoubt) && run.calls.count == 1)
        try run.resolve("b", .happened)
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `an attempt that failed before a loss may have been followed by another one`() throws {
        let run = try MachineDriver(.atMostOnce("b"))
        try run.end("b", refused)
        let count = run.history.count
        try run.passUntilDue()
        try run.end("b")
        try run.restore(to: count, isTakeover: false)
        #expect(run.historyText.suffix(3).contains("step.in_doubt b"))
        #expect(run.calls.count == 1, "the second attempt was made in the lost part alone")
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a dead letter that is tried again after a loss is asked about first`() throws {
        let run = try MachineDriver(.atMostOnce("b", policy: .retry(.limited(to: 1))))
        try run.end("b", refused)
        let count = try #require(run.commits.last)
        try run.retry("b")
        try run.end("b")
        try run.restore(to: count, isTakeover: false)
        try run.retry("b")
        #expect(run.calls.count == 1 && run.machine.stuckStep("b")?.phase == .inDoubt)
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    // MARK: Idempotent

    @Test func `an idempotent step is sent again after a loss inside of its window`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .idempotent("i", retention: .hours(1))]))
        try run.end("r")
        try run.end("i")
        try run.pass(.minutes(30))
        try run.restore(to: 1)
        try run.end("r")
        #expect(run.isRunning("i"))
        #expect(Set((run.calls + run.lostCalls).filter { $0.subject == "i" }.map(\.key)).count == 1, "under the same key")
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `the window of a step that the lost part may have sent begins where the history was kept`() throws {
        for policy in [StepPolicy.default, StepPolicy(intent: .always)] {
            let run = try MachineDriver(.sequence([.read("r"), .idempotent("i", retention: .hours(1), policy: policy)]))
            try run.end("r")
            try run.end("i")
            run.now = run.now + .hours(2)
            try run.restore(to: 1)
            try run.end("r")
            #expect(!run.isRunning("i"), "its key may be forgotten, although it was asked for just now")
            #expect(run.historyText.suffix(2) == ["step.in_doubt i", "run.parked"])
            try run.resolve("i", .happened)
            try run.playToTheEnd()
            #expect(run.violations() + run.problems() == [])
        }
    }

    // MARK: Approvals

    @Test func `an approval that was open before a loss is asked for anew once the step surely did not happen`() throws {
        try approval(isAtMostOnce: true)
        try approval(isAtMostOnce: false)
    }

    private func approval(isAtMostOnce: Bool) throws {
        let run = try MachineDriver(
            isAtMostOnce ? .atMostOnce("o", approval: Program.approval) : .idempotent("o", approval: Program.approval))
        try run.decide("o")
        try run.end("o")
        try run.restore(to: 2)
        #expect(run.historyText.suffix(3) == ["step.intended o", "step.in_doubt o", "run.parked"])
        // A decision that comes now speaks of nothing that is open.
        try run.decide("o", approve: false)
        #expect(try run.history.last?.attributes.object()["refused"]?.stringValue == "approval_closed")
        try run.pass(.minutes(10))
        try run.resolve("o", .didNotHappen)
        #expect(run.historyText.last == "approval.requested o")
        try run.decide("o")
        try run.end("o")
        #expect(run.machine.isClosed && run.calls.count == 1)
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `an approval that was given before a loss is not used`() throws {
        let key = BusinessKey(namespace: "default", step: "i", key: "order-7")
        let other = BusinessKeyRecord(
            key: key, generation: 0, holder: RunID(milliseconds: 5, random: (5, 5)), subject: "theirs",
            inputDigest: SaltedDigest.hex(salt: [], canonicalBytes: Code.input("i")), outcome: .open)
        let run = try MachineDriver(.idempotent("i", approval: Program.approval, key: "order-7"), keys: [other])
        try run.decide("i")
        #expect(run.historyText.last == "approval.decided i", "it waits for the key")
        try run.restore(to: run.history.count)
        #expect(run.machine.steps.values.first?.phase == .awaitingKey)
        run.settleKey(key, .free)
        try run.settle()
        #expect(run.historyText.suffix(3) == ["step.intended i", "step.in_doubt i", "run.parked"])
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    // MARK: Others

    @Test func `an undo that is sent at most once is asked about after a loss`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .atMostOnce(hasProbe: false)), .read("r"), .fails]))
        try run.end("a")
        let count = run.history.count
        try run.end("r")
        try run.end("a")
        #expect(run.machine.isClosed)
        try run.restore(to: count)
        try run.end("r")
        #expect(run.historyText.suffix(3) == ["undo.started a", "undo.in_doubt a", "run.parked"])
        #expect(run.calls.count { $0.body == .undo } == 0)
        try run.resolve("a", .happened)
        #expect(run.machine.isClosed)
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `reads and transactions are made again after a loss`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .transactional("t"), .read("s")]))
        try run.playToTheEnd()
        try run.restore(to: 1)
        try run.playToTheEnd()
        #expect(run.calls.map(\.subject) == ["r", "r", "t", "s"] && !run.kinds.contains(.stepInDoubt))
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a step in doubt takes its business key after a loss`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .atMostOnce("o", key: "order-7")]))
        try run.end("r")
        try run.end("o")
        try run.restore(to: 1)
        let key = BusinessKey(namespace: "default", step: "o", key: "order-7")
        #expect(run.keys[key] == nil, "the lost part took it")
        try run.end("r")
        #expect(run.keys[key]?.outcome == .open && run.keys[key]?.holder == run.identity.id, "nobody else takes it meanwhile")
        try run.resolve("o", .happened)
        #expect(run.keys[key]?.outcome == .happened(output: MachineDriver.done))
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a child that is started after a loss knows of it`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .child("c")]))
        try run.end("r")
        let before = try #require(run.startedChildren.first)
        #expect(before.lostPart == nil)
        try run.restore(to: 1)
        try run.end("r")
        let after = try #require(run.startedChildren.first)
        #expect(after.id == before.id, "it may have been at work in the lost part")
        let child = NewRun(after, epoch: 2, namespace: "default", build: "b", node: "n", now: run.now) { 1 }
        #expect(child.events.map(\.kind) == [.runStarted, .runRestored])
        #expect(child.record.epoch > run.now.microseconds, "its fencing tokens are above those of the lost part")
        #expect(try LostPart(child.events[1]).since == MachineDriver.start)
    }

    @Test func `a run that is continued after a loss hands it on`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .continues("7")]))
        try run.restore(to: 1)
        try run.end("r")
        let next = try #require(run.successors.first)
        #expect(next.lostPart?.since == MachineDriver.start)
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a person who has looked ends the mark, and what is asked for afterwards is sent`() throws {
        let code = Code.sequence([.read("r"), .signal("s"), .atMostOnce("o"), .child("c"), .continues("7")])
        let run = try MachineDriver(code)
        try run.restore(to: 1)
        try run.end("r")
        try run.settleLoss()
        #expect(run.kinds.last == .runLossSettled)
        try run.send(.signal, "s", "1")
        #expect(run.isRunning("o"))
        try run.playToTheEnd()
        #expect(run.startedChildren.count == 1 && run.startedChildren.first?.lostPart == nil)
        #expect(run.successors.count == 1 && run.successors.first?.lostPart == nil)
        #expect(!run.kinds.contains(.runParked))
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a mark that is ended leaves in doubt what is`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .atMostOnce("o"), .atMostOnce("p")]))
        try run.end("r")
        try run.restore(to: 1)
        try run.end("r")
        try run.settleLoss()
        #expect(run.machine.steps.values.first { $0.request.subject == "o" }?.phase == .inDoubt)
        try run.resolve("o", .happened)
        #expect(run.isRunning("p"))
        try run.end("p")
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a run that is reset to before a mark that was ended has none`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .signal("s"), .atMostOnce("o")]))
        try run.end("r")
        let seq = Int64(run.history.count)
        try run.restore(to: run.history.count)
        try run.settleLoss()
        try run.send(.signal, "other", "1")
        try run.reset(to: seq, .adopt)
        #expect(run.machine.lostPart == nil)
        try run.crash()
        #expect(run.machine.lostPart == nil)
        try run.send(.signal, "s", "1")
        #expect(run.isRunning("o"))
        try run.end("o")
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a word about an earlier loss ends no later mark`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .signal("s"), .atMostOnce("o")]))
        try run.end("r")
        try run.restore(to: run.history.count)
        let count = run.history.count
        // It was heeded, and the run went on; that is lost, and the word is in the inbox again. The clock has not gone on since: the two
        // marks have one time.
        try run.settleLoss()
        try run.send(.signal, "s", "1")
        try run.end("o")
        try run.restore(to: count)
        #expect(try run.refusedCodes() == ["run_restored"])
        #expect(run.machine.lostPart != nil && run.kinds.count { $0 == .runRestored } == 2)
        try run.send(.signal, "s", "1")
        #expect(run.historyText.suffix(2) == ["step.in_doubt o", "run.parked"])
        #expect(run.violations() + run.problems() == [])
    }

    /// A step in doubt, and a person's word about it in the part that is going to be lost.
    private func heard(_ kind: ResolutionKind) throws -> (run: MachineDriver, count: Int) {
        let run = try MachineDriver(.atMostOnce("b"))
        try run.crash()
        try run.pass(.minutes(10))
        let count = run.history.count
        try run.resolve("b", kind)
        return (run, count)
    }

    // Promise: 4
    @Test func `a word that was heeded in what is lost is not believed when it is read again, however late`() throws {
        for kind in [ResolutionKind.didNotHappen, .abort] {
            let (run, count) = try heard(kind)
            #expect(run.calls.count == (kind == .abort ? 1 : 2))
            try run.restore(to: count, claimedAfter: .days(1))
            #expect(try run.refusedCodes() == ["run_restored"] && run.inbox.isEmpty)
            #expect(run.calls.count == 1 && run.machine.stuckStep("b")?.phase == .inDoubt)
            // Said by somebody who has looked at what is known now.
            try run.resolve("b", kind)
            #expect(run.isRunning("b") == (kind == .didNotHappen) && run.machine.isClosed == (kind == .abort))
            try run.playToTheEnd()
            #expect(run.violations() + run.problems() == [])
        }
    }

    @Test func `what a person said to have happened is true after a loss as well`() throws {
        let (run, count) = try heard(.happened)
        try run.restore(to: count, claimedAfter: .days(1))
        #expect(run.machine.isClosed && run.calls.count == 1)
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a word that is said between a loss and its mark is not believed`() throws {
        let (run, count) = try heard(.didNotHappen)
        try run.restore(to: count, claimedAfter: .days(1)) { $0.deliverResolution("b", .didNotHappen) }
        #expect(try run.refusedCodes() == ["run_restored", "run_restored"])
        #expect(run.calls.count == 1 && run.machine.stuckStep("b")?.phase == .inDoubt)
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a word from before a loss is not believed after the mark was settled either`() throws {
        let (run, kept) = try heard(.didNotHappen)
        try run.restore(to: kept, claimedAfter: .days(1))
        try run.settleLoss()
        let mark = run.machine.lossMark
        #expect(run.machine.lostPart == nil && mark != nil)
        try run.resolve("b", .didNotHappen)
        #expect(run.isRunning("b"), "it names the mark, settled or not")
        let again = try #require(run.commits.last { $0 < run.history.count - 1 })
        try run.restore(to: again, claimedAfter: .days(1))
        #expect(!run.isRunning("b") && run.machine.lossMark != mark)
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a person's retry that was heeded in what is lost opens no window anew`() throws {
        let run = try MachineDriver(.idempotent("i", retention: .hours(1)))
        run.now = run.now + .hours(2)
        try run.crash()
        let count = run.history.count
        try run.retry("i")
        try run.end("i")
        try run.restore(to: count, claimedAfter: .days(1))
        #expect(try run.refusedCodes() == ["run_restored"])
        #expect(run.calls.count == 1 && run.machine.stuckStep("i")?.phase == .inDoubt)
        try run.retry("i")
        #expect(run.isRunning("i"))
        try run.playToTheEnd()
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `the verifier believes no word either that does not name the last mark`() throws {
        for isNamed in [true, false] {
            for resolution in [ResolutionKind.didNotHappen, .abort] {
                let run = try MachineDriver(.atMostOnce("b"))
                try run.crash()
                try run.restore(to: try #require(run.commits.last))
                let seq = try #require(run.history.last { $0.kind == .runRestored }).seq
                let attributes = Attributes.make(
                    ("resolution", .string(resolution.rawValue)), ("by", JSONValue(MachineDriver.owner)),
                    ("mark", JSONValue.integer(seq).when(isNamed)))
                try run.record(EventDraft(.stepResolved, subject: "b", attributes: attributes))
                try run.playToTheEnd()
                #expect(run.problems().contains { $0.contains("did not know yet that history was lost") } == !isNamed)
                #expect(run.problems().isEmpty == isNamed)
            }
        }
    }

    @Test func `runs that are made after a loss that was settled begin above those of the lost part`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .child("c"), .continues("7")]))
        let count = run.history.count
        try run.restore(to: count)
        let kept = try #require(run.commits.last)
        func made() throws -> (child: NewRun, next: NewRun) {
            try run.end("r")
            try run.endChild("c")
            let child = try #require(run.startedChildren.last), next = try #require(run.successors.last)
            let origin = RunOrigin(run: run.identity.id, salt: [], inputDigest: "")
            return (
                NewRun(child, epoch: 3, namespace: "default", build: "b", node: "n", now: run.now) { 1 },
                NewRun(next, of: run.identity, epoch: 3, chain: origin, build: "b", node: "n", now: run.now) { 1 }
            )
        }
        let lost = try made()
        // No time has passed since the first mark.
        try run.restore(to: kept)
        try run.settleLoss()
        let (child, next) = try made()
        #expect(child.events.map(\.kind) == [.runStarted] && next.events.map(\.kind) == [.runStarted])
        #expect(child.record.id == lost.child.record.id && next.record.id == lost.next.record.id)
        for (new, old) in [(child.record.epoch, lost.child.record.epoch), (next.record.epoch, lost.next.record.epoch)] {
            #expect(old > run.now.microseconds && new - old >= Restoration.epochRise)
        }
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `what a run begins with that was made after a loss is handed on by its epoch`() {
        let high = Restoration.epochRise + 1_750_000_000_000_000
        #expect(Restoration.epoch(ofRunMadeIn: high + 2, atLeast: 0) == high + 2, "no event of it speaks of the loss")
        #expect(Restoration.epoch(ofRunMadeIn: 3 + Restoration.epochRise, atLeast: high) == high)
        #expect(Restoration.epoch(ofRunMadeIn: 3, atLeast: 0) == 0, "nothing was ever lost")
    }

    @Test func `nothing is settled of a run that has lost nothing`() throws {
        let run = try MachineDriver(.sequence([.signal("s"), .read("r")]))
        try run.settleLoss()
        #expect(run.kinds.last == .operatorAction)
        let refused = try #require(run.history.last).attributes.object()["refused"]?.stringValue
        #expect(refused == "run_not_restored")
        try run.restore(to: run.history.count)
        for kind in [EventKind.runLossSettled, .operatorAction] {
            try run.settleLoss()
            #expect(run.kinds.last == kind, "once is enough")
        }
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `a run whose continuation is lost is continued as the same run, with the same keys`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .continues("7")]))
        try run.end("r")
        let before = try #require(run.successors.first?.id)
        // The mark is an event more, and the take-over is another one.
        try run.restore(to: run.history.count - 1)
        #expect(run.successors.map(\.id) == [before])
        #expect(run.successors.first?.lostPart != nil)
        #expect(run.violations() + run.problems() == [])
    }

    @Test func `what is asked for long after a loss is asked about all the same`() throws {
        // In the lost part a person may have cancelled the run, which had it undone; nobody knows of it any more.
        let run = try MachineDriver(.sequence([.timer("t", .days(21)), .signal("s"), .atMostOnce("o")]))
        try run.restore(to: 2, isTakeover: false)
        try run.passUntilDue()
        try run.send(.signal, "s", "1")
        #expect(run.historyText.suffix(2) == ["step.in_doubt o", "run.parked"])
    }

    @Test func `a second loss counts like the first one`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .atMostOnce("o"), .read("s")]))
        try run.end("r")
        try run.restore(to: 1)
        try run.end("r")
        try run.pass(.minutes(10))
        try run.resolve("o", .didNotHappen)
        let count = run.history.count - 1
        try run.end("o")
        try run.restore(to: try #require(run.commits.last { $0 <= count - 2 }))
        try run.playToTheEnd()
        #expect(run.kinds.count { $0 == .runRestored } == 2)
        #expect(run.violations() + run.problems() == [])
    }
}

extension MachineDriver {
    /// A person says that nothing of the loss is outstanding.
    fileprivate func settleLoss() throws {
        let mark = machine.lossMark ?? LossMark(seq: 1, hash: "")
        let payload = try Payload.encode(LossSettlement(mark: mark), limit: 1_000, what: "a settlement").bytes
        try send(.settleLoss, "", String(decoding: payload, as: UTF8.self))
    }

    /// The codes of what was refused.
    fileprivate func refusedCodes() throws -> [String] {
        try history.filter { $0.kind == .operatorAction }.compactMap { try $0.attributes.object()["refused"]?.stringValue }
    }
}
