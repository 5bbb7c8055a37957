import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdurePostgres
import PerdureStore
import Synchronization
import Testing

/// A database of its own, and somebody who types commands that work on it.
final class Desk: Sendable {
    struct Reply {
        var status: CommandStatus
        var output: String
        var errors: String
        var all: String { output + errors }
        var json: JSONValue? { try? JSONValue.parse(Array(output.utf8), what: "output") }
    }

    let database: TestDatabase
    let url: String
    let folder: URL

    init() async throws {
        database = try await TestDatabase()
        url = try database.url
        folder = FileManager.default.temporaryDirectory.appending(path: "perdure-postgres-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    @discardableResult
    func type(
        _ arguments: String..., as user: String = "ada", change: (inout CommandEnvironment) -> Void = { _ in }
    ) async -> Reply {
        await type(arguments, as: user, change: change)
    }

    func type(
        _ arguments: [String], as user: String = "ada", change: (inout CommandEnvironment) -> Void = { _ in }
    ) async -> Reply {
        let output = Captured(), errors = Captured()
        var environment = CommandEnvironment(
            program: "app", user: user, write: { output.append($0) }, writeError: { errors.append($0) },
            workflows: { ShopApp.workflows })
        environment.variables = ["PERDURE_STORE": url]
        // Otherwise it is read from the whole executable.
        environment.engine.build = "tests"
        change(&environment)
        let status = await CommandLineTool<ShopApp>.run(arguments, environment)
        return Reply(status: status, output: output.text, errors: errors.text)
    }

    /// Hosts workflows, as a node, while the body works.
    func hosting(_ workflows: Workflows, _ body: (Engine) async throws -> Void) async throws {
        let engine = try await Engine(store: .postgres(url)) { workflows }
        try await withThrowingTaskGroup { group in
            group.addTask { try await engine.run() }
            try await body(engine)
            group.cancelAll()
        }
    }

    /// Waits until the run is in this state.
    func until(_ run: String, is state: String) async throws {
        let id = try #require(RunID(run)), client = try await Client(.postgres(url))
        try await client.wait { try await $0.run(id).state == state }
        await client.close()
    }

    /// Takes everything away again.
    func clear() async {
        await database.remove()
        try? FileManager.default.removeItem(at: folder)
    }
}

private final class Captured: Sendable {
    private let state = Mutex("")
    var text: String { state.withLock { $0 } }
    func append(_ text: String) { state.withLock { $0 += text } }
}

/// Gives the body a desk.
func withDesk(_ body: (Desk) async throws -> Void) async throws {
    let desk = try await Desk()
    do {
        try await body(desk)
    } catch {
        await desk.clear()
        throw error
    }
    await desk.clear()
}

/// Completes at once, and says which process did it.
struct Greet: Workflow {
    static let name = "greet"
    static let version: WorkflowVersion = "1"
    let place: String

    func run(_ input: Greeting, _ context: WorkflowContext) async throws -> String {
        try await context.read("look-up", input: input.name) { name, _ in "Hello, \(name), from \(place)" }
    }
}

struct Greeting: Codable, Sendable {
    var name: String
}

/// Charges once somebody has approved.
struct Charge: Workflow {
    static let name = "charge"
    static let version: WorkflowVersion = "2.1"
    static let owner = "tests"

    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> String {
        try await context.act(
            "charge", input: 7, .atMostOnce(inDoubt: .askPerson), approval: .required(by: .anyone, within: .days(3)),
            irreversible: "money has moved"
        ) { _, _ in }
        return "charged"
    }
}

/// Says to what limit it was set, and ends when it is told to.
struct Limit: Workflow {
    static let name = "limit"
    static let version: WorkflowVersion = "1"

    struct Set: Update {
        typealias Payload = Int
        typealias Reply = String
        static let name = "set"
    }

    struct Stop: Signal {
        typealias Payload = String
        static let name = "stop"
    }

    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> String {
        try await context.update(Set.self) { "the limit is \($0)" }
        return try await context.signal(Stop.self)
    }
}

struct Nothing: Codable, Sendable {}

enum ShopApp: PerdureApp {
    static var workflows: Workflows {
        Greet(place: "the command")
        Charge()
        Limit()
    }
}
