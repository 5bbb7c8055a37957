import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

/// Runs that are continued as another one.
@Suite struct MachineSuccessionScenarios {
    @Test func `a run that is continued closes with the event that names the next one, and undoes nothing`() throws {
        let run = try MachineDriver(
            .sequence([.label("customer"), .idempotent("a", undo: .idempotent), .scope("s", .continues("7"))]),
            deadline: .days(1), parent: ParentLink(run: RunID(milliseconds: 1, random: (3, 4)), subject: "p"))
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "run.continued"])
        let next = try #require(run.successors.first)
        #expect(run.successors.count == 1 && next.version == "2" && next.input == Array("7".utf8))
        #expect(next.id == .continuing(run.identity.id, namespace: "default"))
        #expect(next.previous == run.identity.id && next.first == run.identity.id)
        #expect(next.starter == MachineDriver.owner && next.parent?.subject == "p")
        #expect(next.labels == ["customer": "1"] && next.deadline == MachineDriver.start + .days(1))
        // The parent is told by the last run of the chain.
        #expect(run.deliveries == [])
        #expect(run.machine.isClosed && run.violations() == [])
    }

    @Test func `a run is continued whatever its code makes of the error`() throws {
        let run = try MachineDriver(
            .sequence([.recovered(.scope("s", .sequence([.continues("7"), .fails]))), .idempotent("b")]))
        #expect(run.historyText == ["run.started", "run.continued"])
        #expect(run.successors.count == 1)
    }

    @Test func `what nobody has taken goes to the next run in the order in which it came`() throws {
        let run = try MachineDriver(.sequence([.signal("b"), .read("look"), .continues("7")]))
        try run.send(.signal, "b", "1")
        for (index, name) in ["b", "a", "b"].enumerated() { try run.send(.signal, name, "\(index)") }
        try run.send(.update, "u", "9")
        try run.end("look")
        #expect(run.kinds.last == .runContinued)
        #expect(run.deliveries.map(\.name) == ["b", "a", "b", "u"])
        #expect(run.deliveries.map(\.id) == ["d2", "d3", "d4", "d5"])
        #expect(run.deliveries.allSatisfy { $0.run == run.successors.first?.id && $0.sender == Principal(.human, "ann") })
        #expect(run.deliveries.last?.kind == .update && run.deliveries.first?.payload == Array("0".utf8))
        #expect(run.violations() == [])
    }

    @Test func `what the run has under way is settled before it is continued`() throws {
        let run = try MachineDriver(
            .parallel([.idempotent("a", undo: .idempotent), .sequence([.signal("s"), .continues("7")])]))
        try run.send(.signal, "s", "1")
        #expect(run.kinds.last == .signalReceived && run.isRunning("a"))
        try run.send(.signal, "late", "2")
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "undo.started a"])
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["undo.succeeded a", "run.continued"])
        #expect(run.deliveries.map(\.name) == ["late"])
        #expect(run.violations() == [])
    }

    @Test func `a run is continued after its children`() throws {
        let run = try MachineDriver(.parallel([.child("c"), .sequence([.signal("s"), .continues("7")])]))
        try run.send(.signal, "s", "1")
        #expect(run.historyText.last == "child.cancel_requested c")
        try run.endChild("c", .runCancelled)
        #expect(run.historyText.suffix(2) == ["child.cancelled c", "run.continued"])
        #expect(run.violations() == [])
    }

    @Test func `a cancellation that comes before the run has closed wins`() throws {
        let code = Code.sequence([
            .idempotent("a", undo: .idempotent), .parallel([.idempotent("b"), .sequence([.signal("s"), .continues("7")])]),
        ])
        let run = try MachineDriver(code)
        try run.end("a")
        try run.send(.signal, "s", "1")
        try run.send(.cancel)
        try run.end("b")
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["undo.succeeded a", "run.cancelled"])
        #expect(run.successors.isEmpty)
        #expect(run.violations() == [])
    }

    @Test func `a cancellation that the last commit meets undoes what the run did`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .continues("7")]))
        // It is in the inbox, and the run has not heard of it.
        run.deliver(.cancel)
        run.mailbox = []
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["run.cancel_requested", "undo.started a"])
        try run.end("a")
        #expect(run.kinds.last == .runCancelled && run.successors.isEmpty)
        #expect(run.violations() == [])
    }

    @Test func `messages that the last commit meets go to the next run`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .continues("7")]))
        run.deliver(.signal, "s", Array("1".utf8))
        run.deliver(.update, "u", Array("2".utf8))
        run.mailbox = []
        try run.end("a")
        #expect(run.historyText.suffix(3) == ["signal.received s", "update.received u", "run.continued"])
        #expect(run.deliveries.map(\.id) == ["d1", "d2"])
        #expect(run.deliveries.allSatisfy { $0.run == run.successors.first?.id })
        #expect(run.violations() == [])
    }

    @Test func `what comes with the last commit goes to the next run with that commit`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .continues("7")]))
        run.ended(run.running.removeFirst(), .succeeded(MachineDriver.done))
        try run.cycle()
        run.deliver(.signal, "s", Array("1".utf8))
        run.deliver(.update, "u", Array("2".utf8))
        try run.cycle()
        #expect(run.historyText.suffix(3) == ["signal.received s", "update.received u", "run.continued"])
        #expect(run.deliveries.map(\.id) == ["d1", "d2"] && run.deliveries.map(\.payload) == [Array("1".utf8), Array("2".utf8)])
        #expect(run.deliveries.allSatisfy { $0.run == run.successors.first?.id })
        #expect(run.violations() == [])
    }

    @Test func `what has completed in scopes beside it stays when a run is continued`() throws {
        let run = try MachineDriver(
            .parallel([
                .scope("r", .sequence([.idempotent("a", undo: .idempotent), .signal("never")])),
                .sequence([.signal("s"), .continues("7")]),
            ]))
        try run.end("r/a")
        try run.send(.signal, "s", "1")
        #expect(run.historyText.suffix(2) == ["signal.received s", "run.continued"])
        #expect(run.calls.map(\.body) == [.step])
        #expect(run.violations() == [])
    }

    @Test func `a run that is being cancelled is not continued`() throws {
        let run = try MachineDriver(.sequence([.signal("s"), .continues("7")]))
        try run.send(.cancel)
        #expect(run.kinds.last == .runCancelled && run.successors.isEmpty)
        #expect(!run.machine.isBeingContinued)
    }
}
