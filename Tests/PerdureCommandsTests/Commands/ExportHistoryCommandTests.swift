import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Synchronization
import Testing

/// Histories that leave their store: `export-history`, and `check --histories` where the store is not.
@Suite(.timeLimit(.minutes(5))) struct ExportHistoryCommandTests {
    /// Draws a number, and works in a transaction of the store.
    private struct Book: Workflow {
        static let name = "book"
        static let version: WorkflowVersion = "1"
        func run(_ input: Nothing, _ context: WorkflowContext) async throws -> Int {
            let number = try context.random("number", in: 0...Int.max)
            try await context.act("keep", input: number, .transactional(in: .sqlite), irreversible: "it stays") { _, _ in }
            return try await context.signal(Go.self)
        }
    }

    /// A file of the histories of a store in which one run waits and one has completed. Who checks it has no store.
    private func withExport(
        _ arguments: String..., workflow: any Workflow = Wait(),
        body: (Desk, _ file: String, _ waiting: String) async throws -> Void
    ) async throws {
        let desk = try Desk(), file = desk.folder.appending(path: "histories.jsonl").path
        var run = ""
        let name = type(of: workflow).name
        try await desk.hosting(TestApp.workflows + [RegisteredWorkflow(Book())]) { engine in
            run = try await desk.start(engine, name)
            try await desk.until(run) { record, _ in record.state == .waiting }
            try await desk.untilClosed(try await desk.start(engine, "greet", #"{"name":"A"}"#))
        }
        let reply = await desk.type(["export-history", "--out", file, "--json"] + arguments)
        try #require(reply.status == .success, "\(reply.errors)")
        try await body(try Desk(origin: desk), file, run)
    }

    private func check(_ desk: Desk, _ file: String, with workflows: Workflows = TestApp.workflows) async -> Desk.Reply {
        await desk.type(["check", "--histories", file, "--json"]) { $0.workflows = { workflows } }
    }

    // MARK: Replayed without the store

    // Promise: 25
    @Test func anExportIsReplayedWithoutTheStoreAndFitsTheCodeThatWroteIt() async throws {
        try await withExport("--with-salt") { desk, file, _ in
            let reply = await check(desk, file)
            #expect(reply.status == .success && reply.json?["checked"] == 2 && reply.json?["runs"] == [])
            #expect(await desk.type("list").status == .store)
        }
    }

    // Promise: 25
    @Test func whatWouldBlockInTheStoreBlocksInTheFileWithTheSameMessage() async throws {
        try await withExport("--with-salt") { desk, file, run in
            let other = [RegisteredWorkflow(WaitOtherwise()), RegisteredWorkflow(Greet())]
            let reply = await check(desk, file, with: other)
            let found = try #require(reply.json?["runs"]?.arrayValue?.first)
            #expect(reply.status == .failed && found["run"]?.stringValue == run && found["verdict"] == "blocks")
            let inStore = await desk.origin?.type("check", "--json") { $0.workflows = { other } }
            #expect(inStore?.json?["runs"]?.arrayValue?.first?["message"] == found["message"])
            #expect(found["message"]?.stringValue?.contains("'prepare'") == true)
            let stranded = await check(desk, file, with: [RegisteredWorkflow(Greet())])
            #expect(stranded.status == .failed && stranded.json?["runs"]?.arrayValue?.first?["verdict"] == "no_code")
        }
    }

    @Test func chanceIsTheSameAndATransactionNeedsNoStoreToBeReplayed() async throws {
        try await withExport("--with-salt", workflow: Book()) { desk, file, _ in
            let reply = await check(desk, file, with: [RegisteredWorkflow(Book()), RegisteredWorkflow(Greet())])
            #expect(reply.status == .success, "\(reply.output)")
        }
    }

    @Test("what a replay would need and the file lacks is said", arguments: [[], ["--with-salt", "--without-large-values"]])
    func lacks(arguments: [String]) async throws {
        let desk = try Desk(), file = desk.folder.appending(path: "histories.jsonl").path
        let name = String(repeating: "x", count: StoredValue.inlineLimit)
        _ = await desk.type("start", "greet", "--input", #"{"name":"\#(name)"}"#, "--wait")
        try #require(await desk.type(["export-history", "--out", file] + arguments).status == .success)
        let reply = await check(desk, file)
        let found = reply.json?["runs"]?.arrayValue?.first
        #expect(reply.status == .failed && found?["verdict"] == "unreadable")
        let hint = arguments.isEmpty ? "--with-salt" : "without its large values, and event 1 has one"
        #expect(found?["message"]?.stringValue?.contains(hint) == true)
    }

    // MARK: Files that cannot be trusted

    @Test("a file that was changed ends the check with file and line")
    func changed() async throws {
        try await withExport("--with-salt") { desk, file, _ in
            let text = try String(contentsOfFile: file, encoding: .utf8)
            let lines = text.split(separator: "\n")
            func refusal(_ text: String, _ line: Int, _ code: String = "history_file_invalid") async throws {
                try text.write(toFile: file, atomically: true, encoding: .utf8)
                let reply = await check(desk, file)
                #expect(reply.status == .store && reply.errors.contains("Line \(line) of '\(file)' cannot be taken"))
                #expect(reply.errors.contains(code), "\(reply.errors)")
            }
            try await refusal(lines.dropLast().joined(separator: "\n"), lines.count)
            try await refusal(String(text.dropLast(20)), lines.count)
            try await refusal(text.replacing("run.started", with: "run.begun"), 3, "history_file_too_new")
            try await refusal(text.replacing(#""version":1}"#, with: #""version":2}"#), 1, "history_file_too_new")
            let waiting = try #require(lines.firstIndex { $0.contains(#""state":"waiting""#) })
            try await refusal(
                text.replacing(#""state":"waiting""#, with: #""state":"dancing""#), waiting + 1, "history_file_too_new")
            try await refusal(text.replacing(#""namespace":"default""#, with: #""namespace":"other""#), 3)
            try await refusal("\u{0}\u{1}", 1)
            try await refusal("", 1)
        }
    }

    @Test func aLineThatNeverEndsIsRefusedInBoundedMemory() throws {
        let desk = try Desk(), path = desk.folder.appending(path: "long").path
        try String(repeating: "x", count: 1 << 20).write(toFile: path, atomically: true, encoding: .utf8)
        var file = try HistoryFile(path, maximumLine: 1_000)
        let error = #expect(throws: PerdureError.self) { try file.next() }
        #expect(error?.code == .historyFileInvalid && error?.message.contains("longer than 1000 bytes") == true)
    }

    @Test func aFileThatIsNotThereIsAnError() async throws {
        let reply = await check(try Desk(), "/nowhere/histories.jsonl")
        #expect(reply.status == .store && reply.errors.contains("history_file_invalid"))
    }

    // MARK: What is exported

    @Test func runsAreExportedByNameAndByWhatTheyHaveInCommon() async throws {
        try await withExport("--with-salt") { checker, _, run in
            let desk = try #require(checker.origin), file = desk.folder.appending(path: "part.jsonl").path
            func exported(_ arguments: String...) async throws -> [String] {
                try #require(await desk.type(["export-history", "--out", file] + arguments).status == .success)
                var reader = try HistoryFile(file), found: [String] = []
                while let run = try reader.next() { found.append(run.record.workflow) }
                return found
            }
            #expect(try await exported() == ["greet", "wait"])
            #expect(try await exported(run, run) == ["wait"])
            #expect(try await exported("--open") == ["wait"])
            #expect(try await exported("--workflow", "greet") == ["greet"])
            #expect(try await exported("--state", "completed", "--version", "1") == ["greet"])
            #expect(try await exported("--label", "a=b") == [])
            #expect(await desk.type("export-history", run, "--open", "--out", file).status == .usage)
            #expect(await desk.type("export-history", "--state", "dancing", "--out", file).status == .usage)
            _ = await desk.type("start", "relay", "--wait")
            #expect(try await exported("--state", "continued") == ["relay"])
            #expect(try await exported("--state", "completed") == ["relay", "relay", "greet"])
            #expect(try await exported("--state", "continued", "--state", "waiting") == ["relay", "wait"])
            #expect(await desk.type("export-history").status == .usage)
            #expect(await desk.type("check", run, "--histories", file).status == .usage)
        }
    }

    @Test func anExportThatFailsLeavesWhatStoodThere() async throws {
        try await withExport { checker, file, _ in
            let desk = try #require(checker.origin), before = try Data(contentsOf: URL(filePath: file))
            let reply = await desk.type("export-history", "0193a5b0-0000-7000-8000-000000000001", "--out", file)
            #expect(reply.status == .notFound)
            #expect(try Data(contentsOf: URL(filePath: file)) == before)
            #expect(!FileManager.default.fileExists(atPath: file + ".part"))
            let attributes = try FileManager.default.attributesOfItem(atPath: file)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
            let refused = await desk.type("export-history", "--out", "/nowhere/file")
            #expect(refused.status == .store && refused.errors.contains("output_unwritable"))
            // It takes the place of a file, and of no folder.
            let folder = desk.folder.appending(path: "folder")
            try FileManager.default.createDirectory(at: folder.appending(path: "in"), withIntermediateDirectories: true)
            #expect(await desk.type("export-history", "--out", folder.path).status == .store)
        }
    }

    @Test func anExportThatStandardOutputDoesNotTakeFails() async throws {
        try await withExport { checker, _, _ in
            let desk = try #require(checker.origin)
            let lines = Mutex(0)
            let reply = await desk.type("export-history", "--out", "-") { environment in
                environment.write = { _ in
                    lines.withLock { $0 += 1 }
                    throw PerdureError(.outputUnwritable, "full by plan")
                }
            }
            #expect(reply.status == .store && reply.errors.contains("full by plan"))
            #expect(lines.withLock { $0 } == 1, "nothing more is tried")
        }
    }

    @Test func standardOutputGetsTheHistoriesAndNothingElse() async throws {
        try await withExport { checker, file, _ in
            let desk = try #require(checker.origin)
            let reply = await desk.type("export-history", "--out", "-")
            let lines = reply.output.split(separator: "\n").dropFirst()
            #expect(lines == (try String(contentsOfFile: file, encoding: .utf8)).split(separator: "\n").dropFirst())
            #expect(!reply.output.contains(#""salt""#) && reply.errors.isEmpty)
        }
    }

    @Test func whatIsLeftOfAnExpiredRunIsExportedAndPassedOverByACheck() async throws {
        let desk = try Desk(), file = desk.folder.appending(path: "histories.jsonl").path
        _ = await desk.type("start", "greet", "--input", #"{"name":"A"}"#, "--wait")
        let store = try await desk.store.open(.engine)
        #expect(try await store.expire(ExpiryRequest(closedBefore: .distantFuture, limit: 1_000)).expired == 1)
        await store.close()
        #expect(await desk.type("export-history", "--out", file).status == .success)
        var reader = try HistoryFile(file)
        let run = try #require(try reader.next())
        #expect(run.record.tombstone != nil && run.events.map(\.kind) == [.runExpired])
        #expect(await check(desk, file).json?["checked"] == 0)
    }
}
