import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Synchronization
import Testing

/// A store in a temporary folder and somebody who types commands.
final class Desk: Sendable {
    struct Reply {
        var status: CommandStatus
        var output: String
        var errors: String
        var json: JSONValue? { try? JSONValue.parse(Array(output.utf8), what: "output") }
    }

    let folder: URL
    let path: String
    let clock = ShiftedClock()
    /// Why the engine that is hosted has ended before its time.
    private let failure = Mutex<(any Error)?>(nil)

    var store: StoreConfiguration { .sqlite(path, clock: { [clock] in clock.now() }) }
    private var engine: EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.clock = clock
        return configuration
    }

    /// The desk at which the files of this one were written, so that they stay.
    let origin: Desk?

    init(origin: Desk? = nil) throws {
        self.origin = origin
        folder = FileManager.default.temporaryDirectory.appending(path: "perdure-commands-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.appending(path: "test.db").path
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    @discardableResult
    func type(
        _ arguments: String..., as user: String = "ada", input: String = "", answer: String? = nil,
        change: (inout CommandEnvironment) -> Void = { _ in }
    ) async -> Reply {
        await type(arguments, as: user, input: input, answer: answer, change: change)
    }

    func type(
        _ arguments: [String], as user: String = "ada", input: String = "", answer: String? = nil,
        change: (inout CommandEnvironment) -> Void = { _ in }
    ) async -> Reply {
        let output = Captured(), errors = Captured()
        var environment = CommandEnvironment(
            program: "app", user: user, write: { output.append($0) }, writeError: { errors.append($0) },
            workflows: { TestApp.workflows })
        environment.variables = ["PERDURE_STORE": path]
        environment.engine = engine
        environment.now = { [clock] in clock.now() }
        environment.openStore = { [clock] in .sqlite($0, clock: { clock.now() }) }
        environment.readInput = { Data(input.utf8) }
        if let answer { environment.ask = { _ in answer } }
        change(&environment)
        let status = await CommandLineTool<TestApp>.run(arguments, environment)
        return Reply(status: status, output: output.text, errors: errors.text)
    }

    /// Hosts the workflows while the body works. If the engine fails, that is what `until` throws.
    func hosting(_ workflows: Workflows = TestApp.workflows, _ body: (Engine) async throws -> Void) async throws {
        let engine = try await Engine(store: store, configuration: engine) { workflows }
        failure.withLock { $0 = nil }
        try await withThrowingTaskGroup { group in
            group.addTask { [self] in
                do {
                    try await engine.run()
                } catch {
                    failure.withLock { $0 = error }
                    throw error
                }
            }
            try await body(engine)
            group.cancelAll()
        }
    }

    /// Starts a run as a service would, so that the person at the desk may decide on it.
    func start(_ engine: Engine, _ workflow: String, _ input: String = "{}") async throws -> String {
        try await engine.start(workflow: workflow, json: Data(input.utf8), by: Principal(.workload, "shop")).description
    }

    /// Waits until the history of a run says something.
    func until(_ run: String, _ condition: (RunView) -> Bool) async throws {
        try await until(run) { _, view in condition(view) }
    }

    func until(_ run: String, _ condition: (RunRecord, RunView) -> Bool) async throws {
        let client = try await Client(store)
        let id = try #require(RunID(run))
        try await client.wait { [self] client in
            // Nothing comes of waiting for an engine that has failed.
            if let failure = failure.withLock({ $0 }) { throw failure }
            return condition(try await client.record(id), try await client.view(of: id))
        }
        await client.close()
    }

    func untilClosed(_ run: String) async throws { try await until(run) { record, _ in record.state.isFinal } }
}

private final class Captured: Sendable {
    private let state = Mutex("")
    var text: String { state.withLock { $0 } }
    func append(_ text: String) { state.withLock { $0 += text } }
}
