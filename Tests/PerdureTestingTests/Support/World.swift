import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// A simulation over a file of its own, with whoever uses it.
final class World: Sendable {
    let simulation: Simulation
    let folder: URL
    let log = Lines()

    init(_ simulation: Simulation) throws {
        self.simulation = simulation
        // In memory where the system has such a place: what is asked here is not whether a disk keeps its promise.
        let memory = URL(filePath: "/dev/shm")
        let base = FileManager.default.isWritableFile(atPath: memory.path) ? memory : FileManager.default.temporaryDirectory
        folder = base.appending(path: "perdure-simulation-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    static let ada = Principal(.human, "ada")

    var file: StoreConfiguration { .sqlite(folder.appending(path: "engine.db").path) { [simulation] in simulation.now } }

    /// An engine in this process, which runs.
    func open(
        _ process: SimulatedProcess, configure: (inout EngineConfiguration) -> Void = { _ in },
        @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow]
    ) async throws -> Engine {
        var configuration = process.configured()
        configuration.verificationRate = 0
        configure(&configuration)
        let engine = try await Engine(
            store: process.store(file, isThreaded: true), configuration: configuration,
            logger: process.logger(Logger(label: "perdure.test") { _ in SwiftLogNoOpLogHandler() }), workflows: workflows)
        process.start(engine)
        return engine
    }

    /// The end of each run's history, the oldest run first.
    func heads(_ engine: Engine) async throws -> [String] {
        var heads: [String] = []
        for number in try await engine.client.store.runNumbers(before: nil, limit: 10_000).sorted() {
            let last = try await engine.client.store.events(of: number, before: .max, limit: 1).first
            heads.append("\(number) \(last.map { "\($0.seq) \($0.hash)" } ?? "none")")
        }
        return heads
    }

    func lines(_ engine: Engine, _ run: RunID) async throws -> [String] {
        try await engine.client.history(of: run).map {
            $0.subject.isEmpty ? $0.kind.rawValue : "\($0.kind.rawValue) \($0.subject)"
        }
    }
}

/// What several tasks write down.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

struct Flow: Workflow {
    static let name = "flow"
    static let version: WorkflowVersion = "1"
    let body: @Sendable (String, WorkflowContext) async throws -> String

    init(_ body: @escaping @Sendable (String, WorkflowContext) async throws -> String) { self.body = body }
    func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
}

struct Part: Workflow {
    static let name = "part"
    static let version: WorkflowVersion = "1"
    let body: @Sendable (String, WorkflowContext) async throws -> String

    init(_ body: @escaping @Sendable (String, WorkflowContext) async throws -> String) { self.body = body }
    func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
}

enum Poke: Signal {
    typealias Payload = String
    static let name = "poke"
}
