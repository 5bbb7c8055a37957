import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureHistory
import PerdureProcess
import PerdureSQLite
import PerdureStore
import Testing

/// One store, the two programs that are deployed over it, and the folder in which the other side notes what it was asked.
///
/// Both are real executables with different code: what tells their builds apart is the digest of their files.
struct Deployment {
    enum Program: String { case before = "DeployBefore", after = "DeployAfter" }

    struct Reply {
        let status: Int32
        let output: String
        var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]) ?? [:] }
        /// The objects below a name.
        subscript(name: String) -> [[String: Any]] { json[name] as? [[String: Any]] ?? [] }
    }

    let folder: URL
    let client: Client
    static let bob = Principal(.human, "bob")

    /// Gives the body a folder of its own, in which the first program has made the store.
    static func run(_ body: (Deployment) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-deploy-\(UUID().uuidString.lowercased())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let engine = try await Engine(store: .sqlite(folder.appending(path: "perdure.db").path)) {}
        await engine.close()
        let client = try await Client(.sqlite(folder.appending(path: "perdure.db").path))
        do {
            try await body(Deployment(folder: folder, client: client))
            let complaints = try await client.store.audit()
            #expect(complaints.isEmpty)
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    // MARK: Programs

    private func process(_ program: Program, _ arguments: [String]) throws -> LineProcess {
        let executable = URL(fileURLWithPath: CrashHarness.executable).deletingLastPathComponent()
        return try LineProcess(
            executable: executable.appending(path: program.rawValue).path, arguments,
            variables: ["PERDURE_STORE": folder.appending(path: "perdure.db").path, "DEPLOY_WORLD": folder.path], isHeard: false)
    }

    /// Runs a command to its end.
    func type(_ program: Program, _ arguments: String...) async throws -> Reply { try await type(program, arguments) }

    private func type(_ program: Program, _ arguments: [String]) async throws -> Reply {
        let command = try process(program, arguments)
        var output = ""
        for await line in command.lines { output += String(decoding: line, as: UTF8.self) + "\n" }
        return Reply(status: await command.wait(), output: output)
    }

    /// Hosts the store until it is stopped or killed; returns when it does.
    func host(_ program: Program) async throws -> LineProcess {
        let host = try process(program, ["run"])
        try await host.until("Hosting ")
        return host
    }

    func start(_ program: Program, _ workflow: String, _ input: String) async throws -> RunID {
        let reply = try await type(program, ["start", workflow, "--input", "\"\(input)\"", "--json"])
        let run = (reply.json["run"] as? String).flatMap(RunID.init)
        return try #require(run, "start \(workflow) ended with \(reply.status): \(reply.output)")
    }

    // MARK: Runs

    func until(_ run: RunID, is states: String...) async throws {
        try await client.wait { states.contains(try await $0.run(run).state) }
    }

    func go(_ run: RunID) async throws { try await client.signal(run, name: "go", json: Data("\"\"".utf8), by: Self.bob) }

    /// The history as lines of kind and subject.
    func lines(_ run: RunID) async throws -> [String] {
        try await client.history(of: run).map { $0.subject.isEmpty ? $0.kind.rawValue : "\($0.kind.rawValue) \($0.subject)" }
    }

    /// The builds that history says have owned the run.
    func builds(_ run: RunID) async throws -> [String] {
        try await client.history(of: run).filter { $0.kind == .runStarted || $0.kind == .runResumed }.map {
            try $0.attributes.object()["build"]?.stringValue ?? ""
        }
    }

    func output(_ run: RunID) async throws -> String {
        let final = try #require(try await client.history(of: run).last)
        guard case .inline(let bytes)? = final.output else { throw DemoError("the run has no output") }
        return try JSONDecoder().decode(String.self, from: Data(bytes))
    }

    // MARK: The other side

    /// From now on the other side keeps its answer to this request back.
    func hold(_ name: String) throws {
        try #require(mkfifo(folder.appending(path: "hold-\(name)").path, 0o600) == 0)
    }

    /// The other side answers again; whoever was kept waiting has died.
    func answer(_ name: String) throws {
        try FileManager.default.removeItem(at: folder.appending(path: "hold-\(name)"))
    }

    /// The keys of the requests that came, in order.
    func requests(_ name: String) -> [String] {
        let text = (try? String(contentsOf: folder.appending(path: "requests"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { $0.hasPrefix("\(name) ") }.map { String($0.dropFirst(name.count + 1)) }
    }
}

extension LineProcess {
    /// Waits until it has written a line that begins like this.
    func until(_ beginning: String) async throws {
        for await line in lines where String(decoding: line, as: UTF8.self).hasPrefix(beginning) { return }
        throw CancellationError()
    }

    /// Ends it in order, and says with what it ended.
    func end() async -> Int32 {
        terminate()
        return await wait()
    }

    /// Ends it without a warning.
    func die() async {
        kill()
        _ = await wait()
    }
}
