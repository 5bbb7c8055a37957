import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Synchronization
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

    // Promise: 27
    @Test("the script agrees with every chain that is exported, and finds what is changed afterwards and where")
    func exports() async throws {
        try await withFolder { folder in
            let id = try await Self.writeHistory(in: folder)
            let text = try await Self.export(folder, [])
            func check(_ text: String) async throws -> Program {
                try text.write(to: folder.appending(path: "histories.jsonl"), atomically: true, encoding: .utf8)
                return try await Program.run("python3", [Self.script, "histories.jsonl"], in: folder)
            }
            let whole = try await check(text)
            #expect(whole.status == 0 && whole.output == "run \(id): ok\n", "\(whole.output)\(whole.errors)")
            let short = try await check(try await Self.export(folder, [.leavesOutLargeValues]))
            #expect(short.status == 0 && short.output == "run \(id): ok\n", "\(short.output)\(short.errors)")
            for (edited, expected) in [
                (text.replacing(#"\"amount\":42"#, with: #"\"amount\":43"#, maxReplacements: 1), "event 1: its hash"),
                (text.replacing("xxx", with: "xyx", maxReplacements: 1), "event 8: its hash"),
                (text.split(separator: "\n").filter { !$0.contains(#""seq":2,"#) }.joined(separator: "\n"), "event 3 stands"),
                (text.split(separator: "\n").dropLast().joined(separator: "\n"), "cut off"), ("{}", "does not hold together"),
            ] {
                let found = try await check(edited)
                #expect(found.status == 1 && found.output.contains(expected), "\(found.output)\(found.errors)")
            }
        }
    }

    // Promise: 27
    @Test("what is broken in the store is exported as far as it holds, and said to be broken")
    func brokenExports() async throws {
        try await withFolder { folder in
            let id = try await Self.writeHistory(in: folder)
            let edit = "UPDATE events SET output = '43' WHERE seq = 4"
            let edited = try await Program.run("python3", ["-c", Self.edit, "store.db", edit], in: folder)
            try #require(edited.status == 0, "\(edited.errors)")
            let text = try await Self.export(folder, [])
            try text.write(to: folder.appending(path: "histories.jsonl"), atomically: true, encoding: .utf8)
            var file = try HistoryFile(folder.appending(path: "histories.jsonl").path)
            let run = try #require(try file.next())
            #expect(run.record.id == id && run.broken?.contains("broken at event 4") == true)
            #expect(try file.next() == nil)
            let check = try await Program.run("python3", [Self.script, "histories.jsonl"], in: folder)
            #expect(check.status == 1 && check.output.contains("broken at event 4"), "\(check.output)\(check.errors)")
        }
    }

    private enum Wish { case leavesOutLargeValues }

    private static func export(_ folder: URL, _ wishes: Set<Wish>) async throws -> String {
        let client = try await Client(.sqlite(folder.appending(path: "store.db").path))
        let bytes = Mutex<[UInt8]>([])
        let options = HistoryExporter.Options(leavesOutLargeValues: wishes.contains(.leavesOutLargeValues))
        var exporter = try await HistoryExporter(client, options) { line in bytes.withLock { $0 += line } }
        for run in try await client.runs() { try await exporter.export(try await client.record(run.id)) }
        try exporter.finish()
        await client.close()
        return String(decoding: bytes.withLock { $0 }, as: UTF8.self)
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
    static let owner = "tests"
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
