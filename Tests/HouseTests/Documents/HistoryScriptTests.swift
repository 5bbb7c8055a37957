import Foundation
import Perdure
import PerdureEngine
import PerdureSQLite
import Testing

/// The format of histories as an outsider reads it: the script that `docs/history-format.md` points to knows nothing of our code.
@Suite struct HistoryScriptTests {
    private static let script = Repository.root.appending(path: "Scripts/verify_history.py").path
    private static let edit = """
        import sqlite3, sys
        db = sqlite3.connect(sys.argv[1])
        db.execute(sys.argv[2])
        db.commit()
        """

    // Promise: 27
    @Test("the script agrees with every chain that an engine has written")
    func agrees() async throws {
        try await withFolder { folder in
            let id = try await Self.writeHistory(in: folder)
            let check = try await Program.run("python3", [Self.script, "store.db"], in: folder)
            #expect(check.status == 0, "\(check.output)\(check.errors)")
            #expect(check.output.contains("run \(id): ok\n"))
            let one = try await Program.run("python3", [Self.script, "store.db", id.description], in: folder)
            #expect(one.output == "run \(id): ok\n" && one.status == 0)
            let other = "0193a5b0-0000-7000-8000-00000000dead"
            let two = try await Program.run("python3", [Self.script, "store.db", id.description, other], in: folder)
            #expect(two.output == "run \(id): ok\nrun \(other): not in this file\n" && two.status == 1)
        }
    }

    // Promise: 27
    @Test(
        "the script finds what was changed afterwards, and where",
        arguments: [
            ("UPDATE events SET input = '{\"amount\":1}' WHERE seq = 1", "event 1: its hash"),
            ("UPDATE events SET output = '43' WHERE seq = 2", "event 2: its hash"),
            ("UPDATE events SET attributes = '{}' WHERE seq = 2", "event 2: its hash"),
            ("UPDATE events SET at = at + 1 WHERE seq = 2", "event 2: its hash"),
            ("DELETE FROM events WHERE seq = 2", "event 2: event 3 stands in its place"),
            ("UPDATE runs SET namespace = 'other'", "event 1: its hash"),
            ("DELETE FROM events", "it has no events"),
            ("UPDATE blobs SET content = replace(content, 'x', 'y')", "event 8: its output"),
            ("DELETE FROM blobs", "event 8: its output"),
        ])
    func finds(edit: String, expected: String) async throws {
        try await withFolder { folder in
            _ = try await Self.writeHistory(in: folder)
            let edited = try await Program.run("python3", ["-c", Self.edit, "store.db", edit], in: folder)
            try #require(edited.status == 0, "\(edited.errors)")
            let check = try await Program.run("python3", [Self.script, "store.db"], in: folder)
            #expect(check.status == 1)
            #expect(check.output.contains(expected), "\(check.output)\(check.errors)")
        }
    }

    // Promise: 27
    @Test(
        "the script checks what an expired run has left against its tombstone",
        arguments: [
            ("SELECT 1", "ok, expired after event"),
            ("UPDATE runs SET last_hash = zeroblob(32)", "its hash does not fit"),
            ("UPDATE events SET attributes = '{}'", "its hash does not fit"),
            ("DELETE FROM events", "it has no events"),
        ])
    func tombstones(edit: String, expected: String) async throws {
        try await withFolder { folder in
            let id = try await Self.writeHistory(in: folder)
            // As long a time as it takes to open the file again is enough.
            var configuration = EngineConfiguration()
            configuration.retention = .zero
            let engine = try await Engine(
                store: .sqlite(folder.appending(path: "store.db").path), configuration: configuration
            ) { Sampler() }
            async let _: Void = engine.run()
            while try await engine.client.run(id).expiredAt == nil { await Task.yield() }
            let edited = try await Program.run("python3", ["-c", Self.edit, "store.db", edit], in: folder)
            try #require(edited.status == 0, "\(edited.errors)")
            let check = try await Program.run("python3", [Self.script, "store.db"], in: folder)
            #expect(check.output.contains(expected), "\(check.output)\(check.errors)")
        }
    }

    /// A run with values of every stored form: text, text with characters beyond ASCII, an empty text, an error, a value above 64 KiB.
    private static func writeHistory(in folder: URL) async throws -> RunID {
        let engine = try await Engine(store: .sqlite(folder.appending(path: "store.db").path)) { Sampler() }
        async let _: Void = engine.run()
        let run = try await engine.start(
            Sampler.self, input: Sample(amount: 42, note: "grüße, 世界 🎉"), by: Principal(.human, "ada"))
        _ = try await run.result()
        return run.id
    }
}

private struct Sample: Codable {
    var amount: Int
    var note: String
}

private struct Refused: ClassifiedError, Codable {
    var reason = "no"
    var isDefinite: Bool { true }
    var isRetryable: Bool { false }
}

/// Asks for a little of everything.
private struct Sampler: Workflow {
    static let name = "sampler"
    static let version: WorkflowVersion = "1"

    func run(_ sample: Sample, _ context: WorkflowContext) async throws -> String {
        let amount = try await context.read("amount", input: sample) { sample, _ in sample.amount }
        try await context.act(
            "note", input: sample.note, .atMostOnce(inDoubt: .askPerson), policy: StepPolicy(intent: .always),
            irreversible: "said"
        ) { _, _ in }
        try? await context.act("refused", input: Nothing(), .idempotent(retention: .forever), irreversible: "never happens") {
            _, _ in
            throw Refused()
        }
        try await context.sleep(for: .milliseconds(1))
        _ = try await context.read("large", input: amount) { amount, _ in String(repeating: "x", count: amount * 2_000) }
        return amount == 42 ? sample.note : ""
    }
}
