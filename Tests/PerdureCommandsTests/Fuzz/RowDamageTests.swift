import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureTesting
import Testing

/// Stores in which one value in a row of each of many runs is another: such a run is stopped, and every other goes on.
@Suite(.timeLimit(.minutes(5))) struct RowDamageTests {
    /// A store whose runs all wait for the same signal, which has come.
    private struct Template: Sendable {
        let bytes: Data
        /// To be damaged.
        let victims: [RunID]
        let bystander: RunID
    }

    private static let template = Task { try await makeTemplate() }
    private static let eventColumns = [
        "run", "seq", "at", "kind", "subject", "attributes", "input", "input_size", "output", "output_size", "codec", "key_id",
        "hash",
    ]
    /// Of the other rows that belong to a run. No chain covers them.
    private static let otherColumns: [(table: String, columns: [String])] = [
        (
            "runs",
            [
                "id", "namespace", "workflow", "version", "key", "input_digest", "salt", "state", "epoch", "owner", "wake_at",
                "since",
                "created_at", "closed_at", "note", "needs_retry", "expired_at", "last_seq", "last_hash", "leftover", "origin",
                "origin_salt", "origin_digest", "successor",
            ]
        ),
        ("inbox", ["run", "delivery_id", "at", "kind", "name", "payload", "sender", "consumed"]),
        ("wakes", ["run", "workflow", "version", "host_at", "anyone_at"]),
    ]

    private static func makeTemplate() async throws -> Template {
        let desk = try Desk(), simulation = Simulation(seed: 1), path = desk.path
        let file = StoreConfiguration.sqlite(path) { simulation.now }
        let runs = try await simulation.run {
            let process = simulation.process("node")
            let engine = try await Histories.engine(process, file, isThreaded: true)
            process.start(engine)
            var runs: [RunID] = []
            for number in 0...eventColumns.count {
                runs.append(
                    try await engine.start(
                        workflow: "ways", json: Data(#""person""#.utf8), key: "\(number)", by: Histories.ada))
            }
            try await simulation.sleep(for: .minutes(1))
            for approval in try await engine.client.pendingApprovals() {
                try await engine.client.decide(approval, approve: true, by: Histories.bob)
            }
            try await simulation.sleep(for: .minutes(1))
            for run in runs { try await engine.client.answer(run, question: "colour", with: "red", by: Histories.bob) }
            try await simulation.sleep(for: .minutes(1))
            await process.shutDown()
            return runs
        }
        let client = try await Client(file)
        for run in runs { try await client.signal(run, Poke.self, "go", by: Histories.bob) }
        await client.close()
        try LooseTables.loosen(path)
        return Template(
            bytes: try Data(contentsOf: URL(filePath: path)), victims: Array(runs.dropLast()), bystander: try #require(runs.last))
    }

    /// A copy of the template.
    private static func desk() async throws -> (Desk, Template) {
        let template = try await template.value, desk = try Desk()
        try template.bytes.write(to: URL(filePath: desk.path))
        return (desk, template)
    }

    @Test func `undamaged, every run of the store is completed`() async throws {
        let (desk, template) = try await Self.desk()
        let ends = try await Self.live(desk, template)
        #expect(
            ends == [RunID: RunState?](uniqueKeysWithValues: (template.victims + [template.bystander]).map { ($0, .completed) }))
        let reply = await desk.type("verify", "--all")
        #expect(reply.status == .success, "\(reply)")
    }

    // Promise: 27, 29
    @Test(arguments: Damage.seeds(0..<6))
    func `whatever is changed in an event of a run, that run is stopped, verify names it, and no other is touched`(seed: UInt64)
        async throws
    {
        let (desk, template) = try await Self.desk()
        var damage = Damage(seed: seed), changes: [RunID: String] = [:]
        for (index, column) in Self.eventColumns.enumerated() {
            changes[template.victims[index]] = try LooseTables.change(
                "events", column, ofRun: Int64(index + 1), in: desk.path, &damage)
        }
        let verdict = await desk.type("verify", "--all", "--json")
        #expect(verdict.status == .failed, "seed \(seed): \(verdict.errors)")
        let named = verdict.json?["runs"]?.arrayValue?.filter { $0["sound"] == .bool(false) }.compactMap {
            $0["run"]?.stringValue
        }
        let problems = "\(verdict.json?["store_problems"] ?? .null)"
        let ends = try await Self.live(desk, template)
        for run in template.victims {
            let change = changes[run] ?? "nothing"
            #expect(named?.contains(run.description) == true || problems.contains(run.description), "seed \(seed), \(change)")
            #expect(ends[run] != .completed, "seed \(seed), \(change)")
        }
        #expect(ends[template.bystander] == .completed, "seed \(seed)")
        #expect(named?.contains(template.bystander.description) == false, "seed \(seed)")
    }

    @Test(arguments: Damage.seeds(0..<9))
    func `whatever is changed in another row of a run, every other run goes on`(seed: UInt64) async throws {
        let (desk, template) = try await Self.desk()
        var damage = Damage(seed: seed), changes: [String] = []
        let columns = Self.otherColumns.flatMap { rows in rows.columns.map { (rows.table, $0) } }
        for index in template.victims.indices {
            // Every column has its turn.
            let (table, column) = columns[(Int(seed) * template.victims.count + index) % columns.count]
            let change = try LooseTables.change(table, column, ofRun: Int64(index + 1), in: desk.path, &damage)
            changes.append(change ?? "\(table) has no row of run \(index + 1)")
        }
        print("rows of runs, seed \(seed): \(changes.joined(separator: "; "))")
        let ends = try await Self.live(desk, template)
        #expect(ends[template.bystander] == .completed, "seed \(seed), \(changes)")
        let verdict = await desk.type("verify", "--all")
        #expect(verdict.status == .failed || verdict.status == .success, "seed \(seed), \(verdict)")
    }

    /// What an engine makes of the runs in a while. Of one that cannot be read there is no state.
    private static func live(_ desk: Desk, _ template: Template) async throws -> [RunID: RunState?] {
        let simulation = Simulation(seed: 1, start: Timestamp(microseconds: 1_777_000_000_000_000)), path = desk.path
        return try await simulation.run {
            let process = simulation.process("node"), file = StoreConfiguration.sqlite(path) { simulation.now }
            let engine = try await Histories.engine(process, file, isThreaded: true)
            process.start(engine)
            try await simulation.sleep(for: .minutes(10))
            var ends: [RunID: RunState?] = [:]
            for run in template.victims + [template.bystander] {
                do {
                    ends[run] = .some(try await engine.client.record(run).state)
                } catch is PerdureError {
                    ends[run] = .some(nil)
                }
            }
            #expect(!process.hasEnded, "\(String(describing: process.failure))")
            await process.shutDown()
            return ends
        }
    }
}
