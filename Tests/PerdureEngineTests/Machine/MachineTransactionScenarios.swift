import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let unclear = MachineDriver.failure()

/// Steps whose effect is committed with the event that records it: they are never in doubt.
@Suite struct MachineTransactionScenarios {
    @Test func `a transaction that a crash cut off did not happen and is made again`() throws {
        let run = try MachineDriver(.transactional("a"))
        try run.crash(build: "build-b")
        #expect(run.calls.count == 2)
        #expect(run.kinds.contains(.stepInDoubt) == false && run.kinds.contains(.stepIntended) == false)
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "run.completed"])
        #expect(run.violations() == [])
    }

    @Test func `every error of a transaction is definite`() throws {
        let run = try MachineDriver(.recovered(.transactional("a", policy: .retry(.limited(to: 2).thenThrow))))
        try run.end("a", unclear)
        #expect(run.history.last?.attributes.text.contains(#""definite":true"#) == true)
        try run.pass(.seconds(1))
        try run.end("a", unclear)
        #expect(run.historyText.suffix(2) == ["step.failed a", "run.completed"])
        #expect(run.violations() == [])
    }

    @Test func `a transaction whose result cannot be recorded fails, and nothing of it stays`() throws {
        let run = try MachineDriver(.recovered(.transactional("a")))
        try run.end("a", .unrecordable("too large"))
        #expect(run.historyText.suffix(2) == ["step.failed a", "run.completed"])
    }

    @Test func `a transaction that is given up is cancelled unless it is under way`() throws {
        let run = try MachineDriver(
            .sequence([.race([.signal("s"), .transactional("a", undo: .transactional)]), .signal("end")]))
        try run.send(.signal, "s", "1")
        #expect(run.kinds.last == .signalReceived)
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "undo.started a"])
        try run.crash()
        try run.end("a")
        #expect(run.historyText.last == "undo.succeeded a")
        let other = try MachineDriver(.sequence([.race([.signal("s"), .transactional("a")]), .signal("end")]))
        try other.end("a", unclear)
        try other.send(.signal, "s", "1")
        #expect(other.historyText.last == "step.cancelled a")
        #expect(run.violations() == [] && other.violations() == [])
    }

    @Test func `a transaction that the end of the run cuts off is cancelled`() throws {
        let run = try MachineDriver(.transactional("a"))
        try run.crash()
        run.running = []
        try run.send(.terminate)
        #expect(run.historyText.suffix(2) == ["step.cancelled a", "run.terminated"])
        #expect(run.violations() == [])
    }
}
