import Testing

@testable import PerdurePeer

@Suite struct GateTests {
    @Test func `an opening between the ticket and the wait is not missed`() async throws {
        let gate = Gate()
        let ticket = gate.ticket()
        gate.open()
        try await gate.pass(ticket)
        #expect(gate.waiting == 0)
    }

    @Test func `an opening lets through everyone who waits`() async throws {
        let gate = Gate()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (waits, waiting) = AsyncStream<Void>.makeStream()
            for _ in 1...10 { group.addTask { try await gate.pass(gate.ticket()) { waiting.yield() } } }
            var count = 0
            for await _ in waits {
                count += 1
                if count == 10 { break }
            }
            gate.open()
            try await group.waitForAll()
        }
    }

    @Test func `a cancelled wait throws, before it waits and while it waits`() async throws {
        let gate = Gate()
        let (waits, waiting) = AsyncStream<Void>.makeStream()
        let task = Task { try await gate.pass(gate.ticket()) { waiting.yield() } }
        _ = await waits.first { _ in true }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(gate.waiting == 0)
    }
}
