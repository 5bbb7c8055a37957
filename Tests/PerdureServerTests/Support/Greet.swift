import Foundation
import Perdure
import PerdureEngine
import PerdureStore

/// Ends at once.
struct Greet: Workflow {
    static let name = "greet"
    static let version: WorkflowVersion = "1"

    func run(_ name: String, _ context: WorkflowContext) async throws -> String {
        try await context.read("word", input: name) { name, _ in "Hello \(name)" }
    }
}

/// Ends when it is told to.
struct Wait: Workflow {
    static let name = "wait"
    static let version: WorkflowVersion = "1"

    func run(_ name: String, _ context: WorkflowContext) async throws -> String {
        try await context.signal(Go.self)
    }
}

enum Go: Signal {
    typealias Payload = String
    static let name = "go"
}

let ada = Principal(.human, "ada")

/// Hosts both workflows while the body works.
func hosting<Result: Sendable>(_ store: StoreConfiguration, _ body: (Engine) async throws -> Result) async throws -> Result {
    var configuration = EngineConfiguration()
    configuration.build = "tests"
    configuration.verificationRate = 0
    let engine = try await Engine(store: store, configuration: configuration) {
        Greet()
        Wait()
    }
    return try await withThrowingTaskGroup { group in
        group.addTask { try await engine.run() }
        let result = try await body(engine)
        group.cancelAll()
        try? await group.waitForAll()
        return result
    }
}

func withClient<Result>(_ store: StoreConfiguration, _ body: (Client) async throws -> Result) async throws -> Result {
    let client = try await Client(store)
    do {
        let result = try await body(client)
        await client.close()
        return result
    } catch {
        await client.close()
        throw error
    }
}

/// A schedule that is due each second, with a version, so that it starts runs that nobody hosts.
func eachSecond() throws -> Schedule {
    var schedule = try Schedule(.every(.seconds(1)), Greet.self, input: "world")
    schedule.version = Greet.version
    schedule.overlap = .allow
    return schedule
}
