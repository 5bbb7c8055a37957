import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdurePostgres

/// Nodes over one database, and another side that goes away.
@Suite(.timeLimit(.minutes(5))) struct CircuitTests {
    private static let ada = Principal(.human, "ada")

    // Promise: 18
    @Test func `what one node has found out holds back those that run and those that start`() async throws {
        try await withBank { bank in
            let strict = ResourceLimits.Circuit(failures: 1, pause: .hours(1), longestPause: .hours(1))
            // Would never find out by themselves.
            let patient = ResourceLimits.Circuit(failures: .max, pause: .hours(1), longestPause: .hours(1))
            let second = try await bank.join(patient)
            try await bank.end(of: try await second.start(Payment.self, input: 0, by: Self.ada))
            bank.set(isUp: false)
            let first = try await bank.join(strict)
            _ = try await first.start(Payment.self, input: 1, by: Self.ada)
            try await bank.until { try await bank.rows().count == 1 }
            while try await !bank.isHeldBack(try await second.start(Payment.self, input: 2, by: Self.ada)) {}
            let calls = bank.calls
            let third = try await bank.join(patient)
            #expect(try await bank.isHeldBack(try await third.start(Payment.self, input: 3, by: Self.ada)))
            #expect(bank.calls == calls)
        }
    }

    // Promise: 18
    @Test func `after an outage the runs of all nodes go on, and nothing is left of it`() async throws {
        try await withBank { bank in
            let circuit = ResourceLimits.Circuit(
                failures: 2, pause: .milliseconds(300), longestPause: .milliseconds(600), spread: .milliseconds(200))
            let engines = [try await bank.join(circuit), try await bank.join(circuit)]
            bank.set(isUp: false)
            var runs: [Run<Int>] = []
            for number in 0..<20 { runs.append(try await engines[number % 2].start(Payment.self, input: number, by: Self.ada)) }
            try await bank.until { try await bank.rows().contains { $0.prober != nil } }
            bank.set(isUp: true)
            for run in runs { try await bank.end(of: run) }
            try await bank.until { try await bank.rows().isEmpty }
            #expect(bank.answered == 20)
        }
    }
}

/// Pays once for each run.
private struct Payment: Workflow {
    static let name = "payment"
    static let version: WorkflowVersion = "1"
    let bank: Bank

    func run(_ input: Int, _ context: WorkflowContext) async throws -> Int {
        let policy = StepPolicy(
            retry: RetryPolicy(initialDelay: .milliseconds(100), maximumDelay: .milliseconds(500)), resource: "bank")
        try await context.act("pay", input: input, .idempotent(retention: .forever), policy: policy, irreversible: "paid") {
            _, _ in
            try bank.pay()
        }
        return input
    }
}

/// The other side, and the nodes that turn to it.
private final class Bank: Sendable {
    private struct Outage: Error {}

    let client: Client
    private let store: StoreConfiguration
    private let state = Mutex((isUp: true, calls: 0, answered: 0))
    private let running = Mutex<[Task<Void, any Error>]>([])

    init(_ database: TestDatabase) async throws {
        store = .postgres(try database.url)
        // The first engine makes the schema.
        try await Engine(store: store) {}.close()
        client = try await Client(store)
    }

    var calls: Int { state.withLock { $0.calls } }
    var answered: Int { state.withLock { $0.answered } }
    func set(isUp: Bool) { state.withLock { $0.isUp = isUp } }

    func pay() throws {
        try state.withLock { state in
            state.calls += 1
            if !state.isUp { throw Outage() }
            state.answered += 1
        }
    }

    func join(_ circuit: ResourceLimits.Circuit) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.resources["bank"] = ResourceLimits(concurrency: 1, circuit: circuit)
        let engine = try await Engine(store: store, configuration: configuration) { Payment(bank: self) }
        running.withLock { $0.append(Task { try await engine.run() }) }
        return engine
    }

    func rows() async throws -> [CircuitRow] { try await client.store.circuits(namespace: "default") }

    func until(_ isSo: () async throws -> Bool) async throws {
        while try await !isSo() { await Task.yield() }
    }

    func end(of run: Run<Int>) async throws {
        try await until { try await client.record(run.id).state.isFinal }
    }

    /// Whether the run, once it waits, waits for the other side to be tried by somebody else.
    func isHeldBack(_ run: Run<Int>) async throws -> Bool {
        try await until { try await client.record(run.id).state == .waiting }
        return try await client.history(of: run.id).allSatisfy { $0.kind != .stepAttemptFailed }
    }

    func end() async throws {
        let tasks = running.withLock { $0 }
        for task in tasks { task.cancel() }
        for task in tasks { try await task.value }
        await client.close()
    }
}

private func withBank(_ body: (Bank) async throws -> Void) async throws {
    let database = try await TestDatabase()
    let bank = try await Bank(database)
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(bank))
    } catch {
        result = .failure(error)
    }
    try await bank.end()
    await database.remove()
    try result.get()
}
