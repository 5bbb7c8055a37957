import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting

/// Histories of runs of random code among crashes and people, made by the engine in virtual time.
struct RandomRuns {
    let runs: [(record: RunRecord, events: [Event])]

    private static let person = Principal(.human, "bob")

    static func played(seed: UInt64) async throws -> RandomRuns {
        let simulation = Simulation(seed: seed), database = MemoryDatabase { simulation.now }
        let runs = try await simulation.run {
            var dice = SeededGenerator(seed: seed)
            var (process, engine) = try await boot(simulation, database)
            for number in 0..<4 {
                _ = try await engine.start(Wild.self, input: "\(seed &* 31 &+ UInt64(number))", by: Principal(.workload, "shop"))
            }
            for _ in 0..<25 {
                try await simulation.sleep(for: .minutes(dice.roll(40)))
                if dice.chance(25) {
                    process.crash()
                    (process, engine) = try await boot(simulation, database)
                }
                try await meddle(engine.client, (0..<8).map { _ in dice.roll(1_000) })
            }
            // Children of what is ended may begin meanwhile.
            for _ in 0..<5 {
                try await end(engine.client)
                try await simulation.sleep(for: .minutes(5))
            }
            let runs = try await all(engine.client)
            await process.shutDown()
            return runs
        }
        return RandomRuns(runs: runs)
    }

    private static func boot(
        _ simulation: Simulation, _ database: MemoryDatabase
    ) async throws -> (SimulatedProcess, Engine) {
        let process = simulation.process("node")
        let engine = try await Engine(
            store: process.store(.memory(database)), configuration: process.configured(),
            logger: process.logger(Logger(label: "perdure.test") { _ in SwiftLogNoOpLogHandler() })
        ) {
            Wild()
            Part()
        }
        process.start(engine)
        return (process, engine)
    }

    /// Does something to a run, if it is possible.
    private static func meddle(_ client: Client, _ choices: [Int]) async throws {
        let records = try await client.store.runs(RunFilter(limit: 200))
        guard !records.isEmpty else { return }
        let run = records[choices[0] % records.count].id
        let view = try await client.view(of: run)
        for step in view.stuckSteps {
            let decision: StepResolution = choices[1] % 2 == 0 ? .didNotHappen : try .happened(encoding: 1)
            if choices[2] % 3 == 0 { try? await client.retry(run, step: step.subject, by: person) }
            try? await client.resolve(run, step: step.subject, decision, by: person)
        }
        for approval in try await client.pendingApprovals() {
            try? await client.decide(approval, approve: choices[3] % 3 > 0, by: person)
        }
        for question in view.openQuestions { try? await client.answer(run, question: question.subject, with: 1, by: person) }
        switch choices[4] % 12 {
        case 0: try? await client.pause(run, by: person)
        case 1, 2: for record in records { try? await client.unpause(record.id, by: person) }
        case 3: try? await client.cancel(run, by: person)
        case 4: try? await client.signal(run, name: "go", json: Data("1".utf8), by: person)
        case 5, 6: try? await client.reset(run, to: 1 + Int64(choices[5]) % (view.last?.seq ?? 1), completed: .keep, by: person)
        case 8 where choices[7] % 3 == 0: try await restore(client.store)
        case 7 where records.count < 30:
            _ = try? await client.fork(run, at: 1 + Int64(choices[6]) % (view.last?.seq ?? 1), by: person)
        default: break
        }
    }

    /// As after a backup was put back, though nothing is lost.
    private static func restore(_ store: any Store) async throws {
        var restoration = try await store.beginRestoration(by: "tests", reason: "a test says so")
        while restoration.liftedAt == nil {
            restoration = try await store.markRestored(restoration.number, limit: 100, by: person)
        }
    }

    private static func end(_ client: Client) async throws {
        for record in try await client.store.runs(RunFilter(limit: 500)) where !record.state.isFinal {
            try? await client.terminate(record.id, reason: "enough", by: person)
        }
    }

    private static func all(_ client: Client) async throws -> [(record: RunRecord, events: [Event])] {
        var runs: [(record: RunRecord, events: [Event])] = []
        for record in try await client.store.runs(RunFilter(limit: 500)) {
            runs.append((record, try await client.history(of: record.id)))
        }
        return runs
    }
}

// MARK: Workflows

private struct Part: Workflow {
    static let name = "part"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"

    func run(_ input: Int, _ context: WorkflowContext) async throws -> Int {
        try await context.sleep(for: .minutes(input % 30))
        if input % 5 == 0 { throw Failure() }
        if input % 5 == 1 { try await context.continueAsNew(Part.self, input: input + 1) }
        return try await context.read("look") { input }
    }
}

private struct Failure: Error {}

/// What it does depends on its input alone.
private struct Wild: Workflow {
    static let name = "wild"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"

    func run(_ input: String, _ context: WorkflowContext) async throws -> Int {
        var dice = SeededGenerator(seed: UInt64(input) ?? 1), sum = 0
        for number in 0..<3 + dice.roll(8) {
            let kind = dice.roll(11), other = dice.roll(11), first = dice.roll(100), second = dice.roll(100)
            if dice.chance(30) {
                async let left = Self.part(kind, "\(number)-left", first, context)
                async let right = Self.part(other, "\(number)-right", second, context)
                sum += try await left + right
            } else if dice.chance(20) {
                sum += (try? await context.scope("s\(number)") { try await Self.part(kind, "\(number)", first, context) }) ?? 0
            } else {
                sum += try await Self.part(kind, "\(number)", first, context)
            }
        }
        if dice.chance(20) { throw Failure() }
        return sum
    }

    private static func part(_ kind: Int, _ name: String, _ chance: Int, _ context: WorkflowContext) async throws -> Int {
        switch kind {
        case 0, 1: return try await context.read("look \(name)") { chance }
        case 2, 3:
            return try await context.step("do \(name)", input: chance, .idempotent(retention: .forever)) { input, step in
                if input % 3 == 0, step.attempt < 3 { throw Failure() }
                return input
            } undo: { input, step in
                if input % 7 == 0, step.attempt == 1 { throw Failure() }
            }
        case 4, 5:
            return try await context.step("send \(name)", input: chance, .atMostOnce(inDoubt: .askPerson)) { input, _ in
                if input % 4 == 0 { throw Failure() }
                return input
            } undo: { _, _ in
            }
        case 6:
            return try await context.step(
                "approved \(name)", input: chance, .atMostOnce(inDoubt: .askPerson),
                approval: .required(by: .anyone, within: .hours(2))
            ) { input, _ in
                input
            } undo: { _, _ in
            }
        case 7: return try await context.child(Part.self, id: name, input: chance) { _, _ in }
        case 8: return try await context.ask("ask \(name)", "How many?", as: Int.self)
        case 9:
            let signal = try? await context.timeout(.minutes(20)) { try await context.signal(Go.self) }
            return signal ?? 0
        default:
            try await context.sleep(for: .minutes(chance), id: name)
            return 0
        }
    }
}

private enum Go: Signal {
    typealias Payload = Int
    static let name = "go"
}
