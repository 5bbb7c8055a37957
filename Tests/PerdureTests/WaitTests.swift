import Perdure
import Testing

@Suite struct WaitTests {
    let host = RecordingHost()
    var context: WorkflowContext { host.context }

    @Test("A scope that throws is unwound, and its error is thrown on")
    func scopeUnwinds() async throws {
        await #expect(throws: Rejected("no")) {
            try await context.scope("hotel", id: "1") {
                try await context.act("room", input: 1, .idempotent(retention: .forever), irreversible: "a test") { _, _ in }
                throw Rejected("no")
            }
        }
        #expect(host.record.unwound == ["hotel[1]"])
        #expect(host.record.scopes == ["hotel[1]"])
        #expect(RunTask.scope == "")
    }

    @Test("A scope that returns is not unwound")
    func scopeReturns() async throws {
        #expect(try await context.scope("hotel") { 7 } == 7)
        #expect(host.record.unwound.isEmpty)
    }

    @Test("A timeout returns what its body returned, and names inside belong to it")
    func timeoutReturns() async throws {
        let value = try await context.timeout(.hours(1), name: "limit", id: "a") { try await context.read("inside") { 7 } }
        #expect(value == 7)
        #expect(host.record.scopes == ["limit[a]"])
    }

    @Test("A timeout that passes first cancels its body and throws timed_out")
    func timeoutPasses() async throws {
        let failure = await #expect(throws: StepFailure.self) {
            try await context.timeout(.zero) { try await context.sleep(for: .hours(1)) }
        }
        #expect(failure?.code == StepFailure.timedOut)
    }

    @Test("A timeout of a body that returns nil is no timeout")
    func timeoutOfNil() async throws {
        let value: Int? = try await context.timeout(.hours(1)) { nil }
        #expect(value == nil)
    }

    @Test("Inside uncancelled the tasks of the run know it, also child tasks")
    func uncancelled() async throws {
        #expect(!RunTask.ignoresCancellation)
        let inside = await context.uncancelled {
            async let child = RunTask.ignoresCancellation
            return await child && RunTask.ignoresCancellation
        }
        #expect(inside)
    }

    @Test("A random number lies in its range, and is the same for the same seed")
    func random() throws {
        let first = try context.random("die", in: 1...6)
        #expect((1...6).contains(first))
        #expect(try context.random("die", in: 1...6) == first)
        #expect(try context.random("all", in: Int64.min...Int64.max) == context.random("all", in: Int64.min...Int64.max))
    }
}
