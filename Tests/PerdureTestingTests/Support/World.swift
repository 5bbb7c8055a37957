import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureSQLite
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// A simulation over a store of its own, with whoever uses it.
final class World: Sendable {
    let simulation: Simulation
    private let database: MemoryDatabase
    /// Where the store is a file.
    private let folder: URL?
    let log = Lines()
    private let ahead: Shift
    /// What engines warn of.
    let complaints = Lines()

    init(_ simulation: Simulation, ownership: MemoryDatabase.Ownership = .exclusive) {
        self.simulation = simulation
        let ahead = Shift()
        self.ahead = ahead
        database = MemoryDatabase(ownership: ownership) { simulation.now + ahead.value }
        folder = nil
    }

    /// Over a file.
    init(onDisk simulation: Simulation) throws {
        self.simulation = simulation
        ahead = Shift()
        database = MemoryDatabase { simulation.now }
        // In memory where the system has such a place: what is asked here is not whether a disk keeps its promise.
        let memory = URL(filePath: "/dev/shm")
        let base = FileManager.default.isWritableFile(atPath: memory.path) ? memory : FileManager.default.temporaryDirectory
        let folder = base.appending(path: "perdure-simulation-\(UUID())")
        self.folder = folder
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Sets the clock of the store in memory.
    func setClock(ahead shift: Duration) { ahead.set(shift) }

    deinit { if let folder { try? FileManager.default.removeItem(at: folder) } }

    static let ada = Principal(.human, "ada")

    private func store(of process: SimulatedProcess) -> StoreConfiguration {
        guard let folder else { return process.store(.memory(database)) }
        let file = StoreConfiguration.sqlite(folder.appending(path: "engine.db").path) { [simulation] in simulation.now }
        return process.store(file, isThreaded: true)
    }

    /// A client of nobody's engine, of a store in memory.
    func client() async throws -> Client { try await Client(.memory(database)) }

    /// An engine in this process, which runs.
    func open(
        _ process: SimulatedProcess, configure: (inout EngineConfiguration) -> Void = { _ in },
        @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow]
    ) async throws -> Engine {
        var configuration = process.configured()
        configuration.verificationRate = 0
        configure(&configuration)
        let complaints = complaints
        let engine = try await Engine(
            store: store(of: process), configuration: configuration,
            logger: process.logger(Logger(label: "perdure.test") { _ in ComplaintHandler(lines: complaints) }),
            workflows: workflows)
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

/// How far a clock is ahead.
private final class Shift: Sendable {
    private let state = Mutex(Duration.zero)
    var value: Duration { state.withLock { $0 } }
    func set(_ value: Duration) { state.withLock { $0 = value } }
}

/// What several tasks write down.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

/// Writes down warnings and what is worse.
private struct ComplaintHandler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.add("\(event.message)") }
}

struct Flow: Workflow {
    static let name = "flow"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"
    let body: @Sendable (String, WorkflowContext) async throws -> String

    init(_ body: @escaping @Sendable (String, WorkflowContext) async throws -> String) { self.body = body }
    func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
}

struct Part: Workflow {
    static let name = "part"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"
    let body: @Sendable (String, WorkflowContext) async throws -> String

    init(_ body: @escaping @Sendable (String, WorkflowContext) async throws -> String) { self.body = body }
    func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
}

enum Poke: Signal {
    typealias Payload = String
    static let name = "poke"
}
