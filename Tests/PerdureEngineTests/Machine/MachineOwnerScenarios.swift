import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let refused = MachineDriver.failure(isDefinite: true)

/// Workflows that nobody answers for.
@Suite struct MachineOwnerScenarios {
    static let approval = ApprovalRequirement.required(by: .anyone, within: .hours(1))
    static let needy: [Code] = [
        .atMostOnce("a"), .idempotent("a", approval: approval), .idempotent("a", undo: .atMostOnce(hasProbe: true)),
    ]

    @Test(arguments: needy)
    func `a step that may wait for a person is not begun without an owner`(_ code: Code) throws {
        let run = try MachineDriver(code, hasOwner: false)
        #expect(run.historyText == ["run.started"])
        #expect(run.obstacle?.kind == .ownerMissing && run.obstacle?.subject == "a")
        #expect(run.calls.isEmpty)
        let other = MachineDriver(code, build: "build-b", history: run.history, calls: [])
        try other.crash()
        #expect(other.obstacle == nil && (!other.calls.isEmpty || other.kinds.last == .approvalRequested))
    }

    @Test func `what nobody has to be asked about needs no owner`() throws {
        let code = Code.sequence([.read("r"), .idempotent("i", undo: .idempotent), .idempotent("k", key: "order 7")])
        let run = try MachineDriver(code, hasOwner: false)
        for name in ["r", "i", "k"] { try run.end(name) }
        #expect(run.kinds.last == .runCompleted && run.obstacle == nil)
    }

    @Test func `what runs beside a step without an owner comes to its end first`() throws {
        let run = try MachineDriver(.parallel([.idempotent("i"), .atMostOnce("a")]), hasOwner: false)
        #expect(run.running.count == 1 && run.obstacle == nil)
        try run.end("i")
        #expect(run.historyText == ["run.started", "step.succeeded i"])
        #expect(run.obstacle?.kind == .ownerMissing)
    }

    @Test func `a step that has begun goes on without an owner`() throws {
        let run = try MachineDriver(.atMostOnce("a"))
        try run.end("a", refused)
        let other = MachineDriver(.atMostOnce("a"), build: "build-b", history: run.history, calls: run.calls, hasOwner: false)
        try other.crash()
        try other.pass(.seconds(1))
        try other.end("a")
        #expect(other.kinds.last == .runCompleted && other.obstacle == nil)
    }

    @Test func `an approval that was asked for goes on without an owner`() throws {
        let code = Code.idempotent("a", approval: Self.approval)
        let run = try MachineDriver(code)
        #expect(run.kinds.last == .approvalRequested)
        let other = MachineDriver(code, build: "build-b", history: run.history, calls: [], hasOwner: false)
        try other.crash()
        #expect(other.obstacle == nil)
        try other.pass(.hours(2))
        #expect(other.kinds.last == .runFailed && other.kinds.contains(.approvalExpired))
    }

    @Test func `a step that is given up needs no owner`() throws {
        let run = try MachineDriver(.race([.signal("s"), .atMostOnce("a")]), hasOwner: false)
        #expect(run.obstacle?.kind == .ownerMissing)
        run.deliver(.signal, "s", Array("1".utf8), by: .init(.human, "ada"))
        try run.settle()
        #expect(run.historyText.suffix(3) == ["signal.received s", "step.cancelled a", "run.completed"])
        #expect(run.obstacle == nil)
    }

    @Test func `an intent says whether there is a probe`() throws {
        func probe(_ code: Code) throws -> Bool? {
            let intent = try MachineDriver(code).history.first { $0.kind == .stepIntended }
            return try intent?.attributes.object()["probe"]?.boolValue
        }
        #expect(try probe(.atMostOnce("a", probe: true)) == true)
        #expect(try probe(.atMostOnce("a")) == false)
        #expect(try probe(.idempotent("a", policy: StepPolicy(intent: .always))) == nil)
    }
}
