import Foundation
import GRDB
import Logging
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureTesting
import Testing

/// Stores in whose tables anything may stand, in every column. A trap ends the process of the tests; every seed is told before it is tried.
@Suite(.timeLimit(.minutes(5))) struct RowFuzzTests {
    /// A store with runs in many states, messages that nobody has read, and a schema that refuses no value.
    private struct Template: Sendable {
        let bytes: Data
        let columns: [(table: String, name: String)]
    }

    private static let template = Task { try await makeTemplate() }

    private static func makeTemplate() async throws -> Template {
        let desk = try Desk(), simulation = Simulation(seed: 1)
        let path = desk.path
        let file = StoreConfiguration.sqlite(path) { simulation.now }
        let waiting = try await simulation.run {
            let process = simulation.process("node")
            let engine = try await Histories.engine(process, file, isThreaded: true)
            process.start(engine)
            try await Histories.play(engine, simulation)
            let waiting = try await engine.start(workflow: "ways", json: Data(#""person""#.utf8), by: Histories.ada)
            let large = Data(try JSONEncoder().encode(String(repeating: "x", count: 70_000)))
            _ = try await engine.start(workflow: "ways", json: large, by: Histories.ada)
            let schedule = Schedule(try .cron("0 0 1 1 *"), workflow: "ways", input: Data(#""person""#.utf8))
            try await engine.client.schedule("yearly", schedule, by: Histories.ada)
            let limits = QueueLimits(concurrency: 1, perKey: 1, rate: .init(1, per: .seconds(10)))
            try await engine.client.setQueue("q", limits: limits, by: Histories.ada)
            // One has the place, and one waits.
            for key in ["a", "b"] {
                _ = try await engine.start(
                    workflow: "ways", json: Data(#""person""#.utf8), deadline: .days(400), queue: QueuePlace("q", key: key),
                    by: Histories.ada)
            }
            try await simulation.sleep(for: .minutes(1))
            process.crash()
            // Until what it had open is closed.
            try await simulation.sleep(for: .minutes(1))
            return waiting
        }
        let client = try await Client(file)
        try await client.signal(waiting, Poke.self, "go", by: Histories.bob)
        try await client.cancel(waiting, by: Histories.bob)
        try await client.changeNamespace("other", by: Histories.bob) {
            $0 = NamespaceSettings(closedAfter: .days(1), removedAfter: .days(1), archive: true)
        }
        try await client.changeQuotas(of: "other", by: Histories.bob) {
            $0 = NamespaceQuotas(openRuns: 10, payloadBytes: 1_000, starts: Rate(1, per: .seconds(1)))
        }
        let kept = ControlChange.put(ControlKey("tests", "key"), on: nil, value: Array("{}".utf8), due: client.store.now())
        #expect(try await client.store.changeControl(kept))
        await client.close()
        return try loosened(desk)
    }

    private static func loosened(_ desk: Desk) throws -> Template {
        try LooseTables.loosen(desk.path)
        try LooseTables.use(desk.path) { database in
            try database.execute(
                sql: "INSERT INTO heartbeats (run, subject, is_undo, at, details) VALUES (1, 'first', 0, 1, '\"here\"')")
            try database.execute(
                sql: """
                    INSERT INTO restorations (noticed_at, noticed_by, reason, marked_up_to, marked, lifted_at, lifted_by)
                    VALUES (1, 'ada', 'why', 1, 1, 2, '{"authentication":"","id":"ada","kind":"human"}')
                    """)
        }
        return Template(bytes: try Data(contentsOf: URL(filePath: desk.path)), columns: try LooseTables.columns(desk.path))
    }

    @Test func `every table of the store has something that can be damaged`() async throws {
        let template = try await Self.template.value, desk = try Desk()
        try template.bytes.write(to: URL(filePath: desk.path))
        let queue = try DatabaseQueue(path: desk.path)
        for table in Set(template.columns.map(\.table)).subtracting([
            "blocked_builds", "business_key_waiters", "wakes", "open_requests",
        ]) {
            let count = try await queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM \"\(table)\"") }
            #expect((count ?? 0) > 0, "\(table)")
        }
        #expect((80...13 * Self.atOnce).contains(template.columns.count))
        try queue.close()
    }

    @Test(arguments: Damage.seeds(0..<13))
    func `whatever stands in a column, commands end with a status and engines with a code`(seed: UInt64) async throws {
        let template = try await Self.template.value, desk = try Desk()
        try template.bytes.write(to: URL(filePath: desk.path))
        var damage = Damage(seed: seed), done: [String] = []
        for turn in 0..<Self.atOnce {
            // Each column has its turn.
            let column = template.columns[(Int(seed % 1_000) + turn * 12) % template.columns.count]
            done.append(try LooseTables.change(column, in: desk.path, &damage))
        }
        print("rows, seed \(seed): \(done.joined(separator: "; "))")
        do {
            try await Self.live(desk)
            try await Self.look(desk)
        } catch {
            Issue.record("seed \(seed), \(done): \(error)")
        }
    }

    /// How many columns are damaged in one store.
    private static let atOnce = 13

    // MARK: Using it

    /// Every command that looks at a store.
    private static func look(_ desk: Desk) async throws {
        let listed = await desk.type("list", "--json")
        let runs = listed.json?.arrayValue?.compactMap { $0["run"]?.stringValue } ?? []
        var commands = [
            ["list"], ["approvals"], ["schedules"], ["schedules", "show", "yearly", "--json"], ["queues"],
            ["queues", "--json"], ["namespaces"], ["versions"], ["attempts"], ["verify", "--all"],
            ["check", "--closed"],
            ["export-history", "--out", desk.folder.appending(path: "\(UUID()).jsonl").path],
        ]
        for run in runs.prefix(1) {
            commands += [["show", run], ["show", run, "--events"], ["explain", run], ["verify", run]]
        }
        for command in commands {
            let reply = await desk.type(command) { $0.workflows = { Histories.workflows } }
            // The words themselves make sense.
            if reply.status == .usage, !reply.errors.contains("code: ") { throw Uncoded(what: "\(command): \(reply.errors)") }
        }
    }

    /// An engine that goes on with what is there, for a while.
    private static func live(_ desk: Desk) async throws {
        let simulation = Simulation(seed: 1, start: Timestamp(microseconds: 1_777_000_000_000_000))
        let path = desk.path
        try await simulation.run {
            let process = simulation.process("node"), file = StoreConfiguration.sqlite(path) { simulation.now }
            do {
                let engine = try await Histories.engine(process, file, isThreaded: true)
                process.start(engine)
                try await simulation.sleep(for: .minutes(5))
                let runs = try await engine.client.readable(RunFilter(limit: 20)).runs
                for run in runs.prefix(3) {
                    do { try await engine.client.cancel(run.id, by: Histories.bob) } catch is PerdureError {}
                }
                try await simulation.sleep(for: .minutes(5))
            } catch is PerdureError {}
            if let failure = process.failure, !(failure is PerdureError) { throw failure }
            await process.shutDown()
            process.crash()
        }
    }

    private struct Uncoded: Error { let what: String }
}
