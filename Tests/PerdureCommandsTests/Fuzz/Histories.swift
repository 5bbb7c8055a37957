import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting

/// Histories in which as many kinds of events stand as a few runs can be made to have.
struct Histories: Sendable {
    let runs: [RecordedRun]
    let events: [Event]
    /// The same as a file.
    let file: [UInt8]

    static let ada = Principal(.human, "ada"), bob = Principal(.human, "bob")

    /// What the workflow does, by its input.
    enum Way: String, CaseIterable {
        case steps, person, fails, family, key, doubt, again, cancelled
    }

    static func recorded() async throws -> Histories {
        let simulation = Simulation(seed: 1), database = MemoryDatabase { simulation.now }
        let (runs, file) = try await simulation.run {
            let process = simulation.process("node")
            let engine = try await Self.engine(process, .memory(database))
            process.start(engine)
            try await Self.play(engine, simulation)
            let store = engine.client.store
            var runs: [RecordedRun] = [], file: [UInt8] = []
            var exporter = try await HistoryExporter(engine.client, .init(withSalt: true)) { file += $0 }
            for record in try await store.runs(RunFilter(limit: 100)) {
                runs.append(RecordedRun(record: record, events: try await engine.client.history(of: record.id)))
                try await exporter.export(record)
            }
            try exporter.finish()
            await process.shutDown()
            return (runs, file)
        }
        return Histories(runs: runs, events: runs.flatMap(\.events), file: file)
    }

    static func engine(
        _ process: SimulatedProcess, _ store: StoreConfiguration, isThreaded: Bool = false
    ) async throws -> Engine {
        try await Engine(
            store: process.store(store, isThreaded: isThreaded), configuration: process.configured(),
            logger: process.logger(Logger(label: "perdure.test") { _ in SwiftLogNoOpLogHandler() })
        ) { workflows }
    }

    static func play(_ engine: Engine, _ simulation: Simulation) async throws {
        var runs: [Way: RunID] = [:]
        for way in Way.allCases {
            runs[way] = try await engine.start(Ways.self, input: way.rawValue, key: way.rawValue, labels: ["way": "x"], by: ada)
                .id
        }
        guard let person = runs[.person], let doubt = runs[.doubt], let cancelled = runs[.cancelled] else { return }
        let client = engine.client
        try await simulation.sleep(for: .minutes(1))
        try await client.pause(person, reason: "lunch", by: bob)
        try await simulation.sleep(for: .minutes(1))
        try await client.unpause(person, by: bob)
        try await client.signal(person, name: "unknown", json: Data("1".utf8), by: bob)
        for approval in try await client.pendingApprovals() { try await client.decide(approval, approve: true, by: bob) }
        try await client.cancel(cancelled, by: bob)
        try await simulation.sleep(for: .minutes(1))
        try await client.answer(person, question: "colour", with: "red", by: bob)
        try await simulation.sleep(for: .hours(1))
        try await client.reset(person, to: 1, completed: .undo, by: bob)
        try await simulation.sleep(for: .hours(1))
        for approval in try await client.pendingApprovals() { try await client.decide(approval, approve: true, by: bob) }
        try await simulation.sleep(for: .hours(1))
        try? await client.answer(person, question: "colour", with: "red", by: bob)
        try await simulation.sleep(for: .hours(1))
        try? await client.signal(person, Poke.self, "go", by: bob)
        try await client.resolve(doubt, step: "send", .happened(encoding: "sent"), by: bob)
        if let steps = runs[.steps] { _ = try? await client.fork(steps, at: 2, by: bob) }
        try await simulation.sleep(for: .days(3))
    }

    // MARK: Workflows

    @WorkflowBuilder static var workflows: [RegisteredWorkflow] {
        Ways()
        Part()
    }
}

enum Poke: Signal {
    typealias Payload = String
    static let name = "poke"
}

private struct Part: Workflow {
    static let name = "part"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"

    func run(_ input: String, _ context: WorkflowContext) async throws -> String {
        try await context.sleep(for: .minutes(5))
        return try await context.read("name") { "part-\(input)" }
    }
}

private struct Ways: Workflow {
    static let name = "ways"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"

    func run(_ input: String, _ context: WorkflowContext) async throws -> String {
        switch Histories.Way(rawValue: input) {
        case .steps: try await Self.steps(context)
        case .person, .cancelled: try await Self.person(context)
        case .fails: try await Self.fails(context)
        case .family: try await Self.family(context)
        case .key: try await Self.key(context)
        case .doubt: try await Self.doubt(context)
        case .again: try await context.continueAsNew(Ways.self, input: "key")
        case nil: input
        }
    }

    private struct Hiccup: Error {}

    private static func steps(_ context: WorkflowContext) async throws -> String {
        try await context.report(["done": 1])
        try await context.label(["stage": "one"])
        let old = try context.patched("careful")
        let first = try await context.step("first", input: "a", .idempotent(retention: .forever)) { text, step in
            try step.heartbeat("here")
            if step.attempt == 1 { throw Hiccup() }
            return text + "1"
        } undo: { _, _ in
        }
        async let left = context.read("left") { "l" }
        async let right = context.read("right") { "r" }
        let dice = try context.random("dice")
        try await context.sleep(for: .hours(1))
        let late = try? await context.timeout(.minutes(1)) {
            try await context.sleep(for: .hours(1), id: "long")
            return "late"
        }
        return try await "\(first) \(left) \(right) \(dice) \(old) \(late ?? "")"
    }

    private static func person(_ context: WorkflowContext) async throws -> String {
        try await context.act(
            "pay", input: 7, .atMostOnce(inDoubt: .askPerson), approval: .required(by: .anyone, within: .days(1))
        ) { _, _ in
        } undo: { _, _ in
        }
        let colour = try await context.ask("colour", "Which colour?", as: String.self)
        return try await colour + context.signal(Poke.self)
    }

    private static func fails(_ context: WorkflowContext) async throws -> String {
        for name in ["a", "b"] {
            try await context.act(name, input: name, .idempotent(retention: .days(1))) { _, _ in
            } undo: { _, step in
                if step.attempt == 1 { throw Hiccup() }
            }
        }
        throw Rejected("no way through")
    }

    private static func family(_ context: WorkflowContext) async throws -> String {
        try await context.startChild(Part.self, input: "free", irreversible: "x")
        return try await context.child(Part.self, input: "own") { _, _ in }
    }

    private static func key(_ context: WorkflowContext) async throws -> String {
        try await context.step("charge", key: "order-7", input: "x", .idempotent(retention: .forever), irreversible: "x") {
            text, _ in text
        }
    }

    private static func doubt(_ context: WorkflowContext) async throws -> String {
        try await context.step("send", input: 7, .atMostOnce(inDoubt: .askPerson)) { _, _ -> String in
            throw Hiccup()
        } undo: { _, _ in
        }
    }
}
