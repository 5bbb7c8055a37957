import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdurePostgres

/// Engines in the place of nodes, each with connections of its own, over one database.
struct EngineTests {
    // Promise: 3, 47
    @Test func `two nodes share runs and do every step once`() async throws {
        try await withNodes { nodes in
            var runs: [Run<String>] = []
            for number in 0..<60 {
                runs.append(try await nodes.engines[number % 2].start(Journey.self, input: number, by: Self.ada))
            }
            for (number, run) in runs.enumerated() { #expect(try await nodes.output(of: run.id) == "\"3 legs of \(number)\"") }
            let expected = (0..<60).flatMap { number in (1...3).map { "leg-\($0) of \(number)" } }
            #expect(nodes.effects.sorted() == expected.sorted())
        }
    }

    @Test func `a message that comes by any process reaches the run on its node, and in memory or not`() async throws {
        try await withNodes { nodes in
            var runs: [Run<String>] = []
            for number in 0..<20 {
                runs.append(try await nodes.engines[0].start(Wait.self, input: number, by: Self.ada))
            }
            for run in runs.prefix(10) { try await nodes.client.signal(run.id, Go.self, "client", by: Self.ada) }
            for run in runs.suffix(10) { try await nodes.engines[1].client.signal(run.id, Go.self, "node", by: Self.ada) }
            for (number, run) in runs.enumerated() {
                #expect(try await nodes.output(of: run.id) == "\"\(number) by \(number < 10 ? "client" : "node")\"")
            }
        }
    }

    @Test func `whoever waits on a node is told what another one has done`() async throws {
        try await withNodes { nodes in
            var runs: [Run<String>] = []
            for number in 0..<20 {
                runs.append(try await nodes.engines[number % 2].start(Counter.self, input: number, by: Self.ada))
            }
            // Each run ends on one of them, and is waited for on both.
            let waiting = nodes.engines.map { engine in
                runs.map { run in Task { String(decoding: try await engine.result(of: run.id), as: UTF8.self) } }
            }
            for (number, run) in runs.enumerated() {
                for (place, engine) in nodes.engines.enumerated() {
                    #expect(try await engine.client.update(run.id, Add.self, 10 + place, by: Self.ada) == number + 10 + place)
                }
            }
            for tasks in waiting {
                for (number, task) in tasks.enumerated() { #expect(try await task.value == "\"\(number)\"") }
            }
        }
    }

    @Test func `a node that ends hands its runs over at once`() async throws {
        try await withNodes { nodes in
            var runs: [RunID] = []
            for number in 0..<10 {
                runs.append(try await nodes.engines[0].start(Wait.self, input: number, by: Self.ada).id)
            }
            try await nodes.end(0)
            for run in runs { try await nodes.client.signal(run, Go.self, "late", by: Self.ada) }
            for (number, run) in runs.enumerated() {
                #expect(try await nodes.output(of: run) == "\"\(number) by late\"")
            }
        }
    }

    // Promise: 4
    @Test func `steps in a transaction of the database are done once each, and those that fail leave nothing`() async throws {
        try await withNodes { nodes in
            var runs: [Run<Int>] = []
            for number in 0..<20 {
                runs.append(try await nodes.engines[number % 2].start(Booking.self, input: number, by: Self.ada))
            }
            for (number, run) in runs.enumerated() { #expect(try await nodes.output(of: run.id) == "\(number + 1)") }
            let seats = try await nodes.database.connect().perform { try $0.all(Booking.seats) { try $0.integer(0) } }
            #expect(seats == (0..<20).map { Int64($0 + 1) })
        }
    }

    @Test func `whichever node is first, each due time of a schedule starts one run`() async throws {
        try await withNodes { nodes in
            let client = nodes.client, spec = try ScheduleSpec.every(.hours(1))
            var schedule = try Schedule(spec, Journey.self, input: 7)
            schedule.overlap = .allow
            for number in 0..<4 { try await nodes.engines[number % 2].schedule("s\(number)", schedule, by: Self.ada) }
            let to = client.store.now().date, from = to - 30 * 3_600
            for number in 0..<4 {
                // Twice each, by both nodes.
                for engine in nodes.engines {
                    try await engine.client.backfillSchedule("s\(number)", from: from, to: to, overlapping: true, by: Self.ada)
                }
                try await client.triggerSchedule("s\(number)", by: Self.ada)
            }
            let count = 4 * (spec.times(from: from, count: 100).count { $0 <= to } + 1)
            while try await client.schedules().contains(where: \.isBackfilling) { await Task.yield() }
            let runs = try await client.runs(limit: 1_000)
            #expect(runs.count == count)
            for run in runs { #expect(try await nodes.output(of: run.id) == "\"3 legs of 7\"") }
            #expect(nodes.effects.sorted().count == 3 * count)
        }
    }

    private static let ada = Principal(.human, "ada")
}

private struct Booking: Workflow {
    static let name = "booking"
    static let version: WorkflowVersion = "1"
    static let seats = SQL("SELECT seat FROM seats ORDER BY seat")

    /// A full seat is tried first: nothing of that stays.
    func run(_ input: Int, _ context: WorkflowContext) async throws -> Int {
        let seat = try await context.step("book", input: input, .transactional(in: .postgres), irreversible: "booked") {
            input, connection in
            try connection.execute("INSERT INTO seats (seat) VALUES ($1)", input + 1)
            return try connection.rows("SELECT max(seat) FROM seats WHERE seat = $1", input + 1).first?[0].integer ?? 0
        }
        do {
            try await context.act("book-again", input: input, .transactional(in: .postgres), irreversible: "booked") {
                input, connection in
                try connection.execute("INSERT INTO seats (seat) VALUES ($1)", 1_000 + input)
                try connection.execute("INSERT INTO seats (seat) VALUES ($1)", input + 1)
            }
        } catch is StepFailure {
            return Int(seat)
        }
        return -1
    }
}

private struct Journey: Workflow {
    static let name = "journey"
    static let version: WorkflowVersion = "1"
    let effects: Effects

    func run(_ input: Int, _ context: WorkflowContext) async throws -> String {
        for leg in 1...3 {
            try await context.act("leg-\(leg)", input: input, .idempotent(retention: .forever), irreversible: "travelled") {
                input, _ in
                effects.note("leg-\(leg) of \(input)")
            }
        }
        return "3 legs of \(input)"
    }
}

private struct Wait: Workflow {
    static let name = "wait"
    static let version: WorkflowVersion = "1"

    func run(_ input: Int, _ context: WorkflowContext) async throws -> String {
        "\(input) by \(try await context.signal(Go.self))"
    }
}

/// Answers two updates.
private struct Counter: Workflow {
    static let name = "counter"
    static let version: WorkflowVersion = "1"

    func run(_ input: Int, _ context: WorkflowContext) async throws -> String {
        for _ in 0..<2 { try await context.update(Add.self) { number in input + number } }
        return "\(input)"
    }
}

private enum Add: Update {
    typealias Payload = Int
    typealias Reply = Int
    static let name = "add"
}

private enum Go: Signal {
    typealias Payload = String
    static let name = "go"
}

/// What the steps of all nodes have done.
private final class Effects: Sendable {
    private let list = Mutex<[String]>([])

    func note(_ effect: String) { list.withLock { $0.append(effect) } }
    func sorted() -> [String] { list.withLock { $0.sorted() } }
}

private final class Nodes: Sendable {
    let store: StoreConfiguration
    let effects = Effects()
    let database: TestDatabase
    let engines: [Engine]
    let client: Client
    private let running = Mutex<[Int: Task<Void, any Error>]>([:])

    init(_ database: TestDatabase) async throws {
        let store = StoreConfiguration.postgres(try database.url), effects = effects
        self.store = store
        self.database = database
        try await database.connect().perform { try $0.run("CREATE TABLE seats (seat bigint PRIMARY KEY)") }
        var engines: [Engine] = []
        for _ in 0..<2 {
            engines.append(
                try await Engine(store: store) {
                    Journey(effects: effects)
                    Counter()
                    Wait()
                    Booking()
                })
        }
        self.engines = engines
        client = try await Client(store)
        for (number, engine) in engines.enumerated() {
            running.withLock { $0[number] = Task { try await engine.run() } }
        }
    }

    /// What the run completes with, as a process sees it that hosts nothing.
    func output(of run: RunID) async throws -> String? {
        while try await !client.record(run).state.isFinal { await Task.yield() }
        guard let last = try await client.history(of: run).last, last.kind == .runCompleted,
            case .inline(let bytes)? = last.output
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Ends a node in good order.
    func end(_ number: Int) async throws {
        guard let task = running.withLock({ $0.removeValue(forKey: number) }) else { return }
        task.cancel()
        try await task.value
    }
}

/// Two nodes over a database of their own, which is sound when they have ended.
private func withNodes(_ body: (Nodes) async throws -> Void) async throws {
    let database = try await TestDatabase()
    let nodes = try await Nodes(database)
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(nodes))
    } catch {
        result = .failure(error)
    }
    for number in 0..<2 { try await nodes.end(number) }
    await nodes.client.close()
    let store = try await nodes.store.open(.client)
    #expect(try await store.audit() == [])
    #expect(try await store.livingNodes().isEmpty)
    await store.close()
    await database.remove()
    try result.get()
}
