import Perdure
import Testing

/// What the author's call becomes on its way to the engine.
@Suite struct StepCallTests {
    let host = RecordingHost()
    let step = RecordingHost.stepContext(attempt: 3)
    var context: WorkflowContext { host.context }

    @Test("A read has no undo, no key and no approval, and an input only if it was given one")
    func read() async throws {
        #expect(try await context.read("plain") { 1 } == 1)
        #expect(try await context.read("attempt") { step in step.attempt } == 1)
        #expect(try await context.read("input", id: "a", input: 2, policy: .retry(.never)) { number, _ in number * 2 } == 4)
        let calls = host.record.calls
        try #require(calls.map(\.name) == ["plain", "attempt", "input"])
        #expect(calls.allSatisfy { $0.effect == .read && $0.undo == nil && $0.irreversible == nil && $0.probe == nil })
        #expect(calls.allSatisfy { $0.businessKey == nil && $0.approval == nil })
        #expect(calls[0].input is Nothing)
        #expect(calls[2].input as? Int == 2)
        #expect(calls[2].id == "a")
        #expect(calls[2].policy == .retry(.never))
    }

    @Test("A step hands on everything that the author declared")
    func stepWithUndo() async throws {
        let undone = Recorder<String>()
        let output = try await context.step(
            "issue", id: "a", key: "order 7", input: 7,
            .atMostOnce(inDoubt: .probe { number, step in .happened("probed \(number) at \(step.attempt)") }),
            policy: .retry(.limited(to: 2)), approval: .required(by: .role("secops"), within: .days(1)),
            undoing: .atMostOnce(inDoubt: .probe { text, _ in text == "made 7" ? .happened(()) : .partly(text) })
        ) { number, _ in
            "made \(number)"
        } undo: { text, step in
            undone.add("\(text) at \(step.attempt)")
        }
        #expect(output == "made 7")
        let call = try #require(host.record.calls.first)
        #expect(call.outputType is String.Type)
        #expect(call.effect == .atMostOnce)
        #expect(call.businessKey == "order 7")
        #expect(call.policy == .retry(.limited(to: 2)))
        #expect(call.approval == .required(by: .role("secops"), within: .days(1)))
        #expect(call.irreversible == nil)

        guard case .happened(let probed)? = try await call.probe?(step) else { throw Unexpected() }
        #expect(probed as? String == "probed 7 at 3")
        let undo = try #require(call.undo)
        #expect(undo.isAtMostOnce)
        try await undo.body("recorded", step)
        #expect(undone.values == ["recorded at 3"])
        guard case .happened(let answer)? = try await undo.probe?("made 7", step) else { throw Unexpected() }
        #expect(answer is Nothing)
        guard case .partly("other")? = try await undo.probe?("other", step) else { throw Unexpected() }
    }

    @Test("An irreversible step carries its reason and no undo")
    func irreversible() async throws {
        try await context.step("mail", input: 1, .idempotent(retention: .forever), irreversible: "a letter is gone") {
            number, _ in
            number
        }
        let call = try #require(host.record.calls.first)
        #expect(call.irreversible == "a letter is gone")
        #expect(call.undo == nil)
        #expect(call.probe == nil)
        #expect(call.effect == .idempotent(.forever))
    }

    @Test("An act records nothing, and its undo takes the input")
    func act() async throws {
        let undone = Recorder<String>()
        try await context.act(
            "switch", input: "a", .atMostOnce(inDoubt: .probe { id, _ in id == "a" ? .happened(()) : .didNotHappen })
        ) { _, _ in
        } undo: { id, _ in
            undone.add(id)
        }
        let call = try #require(host.record.calls.first)
        #expect(call.outputType is Nothing.Type)
        #expect(try await call.body(step) is Nothing)
        guard case .happened(let answer)? = try await call.probe?(step) else { throw Unexpected() }
        #expect(answer is Nothing)
        let undo = try #require(call.undo)
        #expect(!undo.isAtMostOnce)
        #expect(undo.probe == nil)
        try await undo.body(Nothing(), step)
        #expect(undone.values == ["a"])
    }

    @Test("An undo that is given another type than the step's output throws and does not trap")
    func undoOfAnotherType() async throws {
        try await context.step("issue", input: 1, .idempotent(retention: .forever)) { number, _ in
            number
        } undo: { _, _ in
        }
        let undo = try #require(host.record.calls.first?.undo)
        let error = await #expect(throws: PerdureError.self) { try await undo.body("text", step) }
        #expect(error?.code == .historyMismatch)
        #expect(error?.message == "the recorded output of 'issue' is a String, but its undo takes a Int")
    }

    @Test("A typed step brings its name, effect, policy and undo, which gets the output and the input")
    func typedStep() async throws {
        let typed = Reserve(undone: Recorder())
        #expect(try await context.step(typed, id: "b", key: "k", input: 4) == "room 4")
        let call = try #require(host.record.calls.first)
        #expect([call.name, call.id, call.businessKey] == ["reserve", "b", "k"])
        #expect(call.policy == .default)
        #expect(call.approval == nil)
        let undo = try #require(call.undo)
        #expect(!undo.isAtMostOnce)
        try await undo.body("room 4", step)
        #expect(typed.undone.values == ["room 4 of 4"])
    }

    @Test("A typed irreversible step brings its reason and what it overrides")
    func typedIrreversibleStep() async throws {
        try await context.step(SendLetter(), input: .init(to: "a", text: "b"))
        let call = try #require(host.record.calls.first)
        #expect(call.irreversible == "a letter is gone")
        #expect(call.undo == nil)
        #expect(call.approval == .required(by: .role("clerk"), within: .days(1)))
    }
}

struct Unexpected: Error {}

private struct Reserve: Step {
    static let name = "reserve"
    let undone: Recorder<String>
    let effect: Effect<Int, String> = .idempotent(retention: .days(1))
    func perform(_ number: Int, _ step: StepContext) async throws -> String { "room \(number)" }
    func undo(_ room: String, of number: Int, _ step: StepContext) async throws { undone.add("\(room) of \(number)") }
}
