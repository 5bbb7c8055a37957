public import Foundation
public import Logging
public import Perdure
public import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization

/// Runs workflows in a test: in memory, in virtual time, with an engine that can be killed at any moment.
///
/// ```swift
/// let tester = try await WorkflowTester { Onboarding(directory: directory) }
/// let report = try await tester.run(
///     Onboarding.self, input: customer,
///     script: [.approve("contract", after: .days(2)), .signal(Documents.self, scans, after: .days(9))])
/// #expect(tester.elapsed > .days(9))          // a few milliseconds for the test
/// ```
///
/// It is the engine that runs in production, with everything that would take time or come by chance replaced: nothing sleeps, and time
/// jumps to the next thing that is due. One that is given a seed does what could be done at the same time in an order that the seed
/// decides.
///
/// Bodies of steps may do real work over a network. Then time stands still meanwhile, for `patience` at most.
public final class WorkflowTester: Sendable {
    private struct Node {
        let process: SimulatedProcess
        let engine: Engine
    }

    private let stage: TestStage
    /// What the next process is started with.
    private struct Program {
        var configuration: EngineConfiguration
        var workflows: [RegisteredWorkflow]
    }

    private let logger: Logger
    private let program: Mutex<Program>
    private let begin: Date
    private let node = Mutex<Node?>(nil)

    /// Starts an engine that hosts these workflows.
    ///
    /// - Parameters:
    ///   - seed: Decides about the order of what could be done at the same time. Without one it is done in the order in which it came
    ///     about.
    ///   - begin: The time at which the test begins. Default: 2026-01-01, midnight UTC.
    ///   - patience: How long, in real time, a body may wait for something outside of the test, such as a request over the network.
    ///   - configuration: As in production. Its threads and its build are not used.
    ///   - logger: Where the engine writes; nowhere by default.
    /// - Throws: `PerdureError` for names that are invalid or registered twice; `TestFailure` if the engine does not come up.
    public init(
        seed: UInt64? = nil, begin: Date = Date(timeIntervalSince1970: 1_767_225_600), patience: Duration = .seconds(30),
        configuration: EngineConfiguration = EngineConfiguration(),
        logger: Logger = Logger(label: "perdure.test") { _ in SwiftLogNoOpLogHandler() },
        @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow]
    ) async throws {
        self.begin = begin
        self.logger = logger
        var configuration = configuration
        // Nobody changes a history in memory behind the engine's back.
        configuration.verificationRate = 0
        // Nor sets anything for a namespace. What is always due would keep a test from noticing that nothing is.
        configuration.keepsRetention = configuration.retention != nil || configuration.tombstoneRetention != nil
        program = Mutex(Program(configuration: configuration, workflows: try workflows()))
        stage = TestStage(Simulation(seed: seed, start: Timestamp(begin), outside: .awaited(patience: patience)))
        try await simulate { [self] in try await boot() }
    }

    // MARK: Time

    /// What time it is in the test.
    public var now: Date { stage.simulation.now.date }
    /// How much time has passed in the test.
    public var elapsed: Duration { stage.simulation.now.duration(since: Timestamp(begin)) }

    /// Lets time pass, and everything happen that is due meanwhile.
    ///
    /// - Throws: `TestFailure`.
    public func sleep(for duration: Duration) async throws {
        try await inside { [stage] _ in try await stage.simulation.sleep(for: duration) }
    }

    // MARK: Runs

    /// Starts a run, plays the script to it, and returns what the workflow returned.
    ///
    /// - Parameter script: What comes from outside meanwhile, for this run and for those that come of it: its children, theirs, and what
    ///   they are continued as. Other runs of the tester have scripts of their own.
    /// - Throws: `PerdureError` as `Run.result()` does; `TestFailure` if the run waits for something that nobody will ever do.
    @discardableResult
    public func run<W: Workflow>(
        _ type: W.Type, input: W.Input, key: String? = nil, script: [ScriptedEvent] = [],
        by starter: Principal = Principal(.human, "starter")
    ) async throws -> W.Output {
        try await inside { [self] engine in
            let run = try await begin(type, input: input, key: key, script: script, by: starter, engine)
            return try await run.result()
        }
    }

    /// Starts a run and returns at once.
    ///
    /// - Parameter script: As that of ``run(_:input:key:script:by:)``.
    /// - Returns: The run's id. It goes on while time passes: in ``sleep(for:)``, ``perform(_:)`` and ``run(_:input:key:script:by:)``.
    /// - Throws: `PerdureError` as `Engine.start` does; `TestFailure` if the test cannot go on.
    public func start<W: Workflow>(
        _ type: W.Type, input: W.Input, key: String? = nil, script: [ScriptedEvent] = [],
        by starter: Principal = Principal(.human, "starter")
    ) async throws -> RunID {
        try await inside { [self] engine in try await begin(type, input: input, key: key, script: script, by: starter, engine).id
        }
    }

    /// Does something with the engine, or with its client, while time passes. Nothing in the body may wait for anything but the engine.
    ///
    /// - Throws: What the body throws, or `TestFailure`.
    public func perform<Value: Sendable>(
        _ body: @escaping @concurrent @Sendable (Engine) async throws -> Value
    ) async throws -> Value {
        try await inside(body)
    }

    /// The events of a run as lines, `step.succeeded charge`, in their order: what to compare with in a test.
    ///
    /// - Throws: `PerdureError` with `run_unknown`; `TestFailure` if the test cannot go on.
    public func history(of run: RunID) async throws -> [String] {
        try await inside { engine in
            try await engine.client.history(of: run).map {
                $0.subject.isEmpty ? $0.kind.rawValue : "\($0.kind.rawValue) \($0.subject)"
            }
        }
    }

    // MARK: Crashes

    /// Kills the process of the engine where it stands, as `kill -9` does, and starts it again. Whoever waits for a run in
    /// ``run(_:input:key:script:by:)`` meanwhile is told that the engine has stopped; ``start(_:input:key:script:by:)`` is for tests that
    /// do this.
    ///
    /// - Throws: `TestFailure` if the test cannot go on.
    public func crash() async throws {
        node.withLock { $0 }?.process.crash()
        try await simulate { [self] in try await boot() }
    }

    /// Ends the engine in order, as a deploy does, and starts another program in its place. Runs go on where they were.
    ///
    /// Whoever waits for a run in ``run(_:input:key:script:by:)`` meanwhile is told that the engine has stopped.
    ///
    /// - Parameter build: Names the program in histories. Runs that the program before could not go on with are tried anew by one of
    ///   another name.
    /// - Throws: `PerdureError` for names that are invalid or registered twice; then no engine runs.
    public func deploy(build: String, @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow]) async throws {
        let next = try workflows(), last = node.withLock { $0.take() }
        program.withLock { program in
            program.workflows = next
            program.configuration.build = build
        }
        try await stage.simulation.run { [self] in
            await last?.process.shutDown()
            try await boot()
        }
    }

    /// Ends the engine. A tester that is not closed is kept in memory.
    public func close() async {
        let last = node.withLock { $0.take() }
        // A simulation that has failed is over already.
        try? await stage.simulation.run { await last?.process.shutDown() }
    }

    // MARK: Parts

    private func boot() async throws {
        let process = stage.process(gate: OpenGate(stage: stage)), program = program.withLock { $0 }
        let engine = try await stage.engine(
            in: process, program.configuration, logger: logger, watch: ScriptedBodies(stage: stage), program.workflows)
        process.start(engine)
        node.withLock { $0 = Node(process: process, engine: engine) }
    }

    private func begin<W: Workflow>(
        _ type: W.Type, input: W.Input, key: String?, script: [ScriptedEvent], by starter: Principal, _ engine: Engine
    ) async throws -> Run<W.Output> {
        let player = ScriptPlayer(script, stage.simulation, try await stage.client())
        stage.add(player)
        do {
            let run = try await engine.start(type, input: input, key: key, by: starter)
            player.begin(run.id)
            return run
        } catch {
            stage.remove(player)
            throw error
        }
    }

    private func inside<Value: Sendable>(
        _ body: @escaping @concurrent @Sendable (Engine) async throws -> Value
    ) async throws -> Value {
        guard let engine = node.withLock({ $0?.engine }) else { throw TestFailure("The tester was closed.") }
        return try await simulate { try await body(engine) }
    }

    private func simulate<Value: Sendable>(
        _ body: @escaping @concurrent @Sendable () async throws -> Value
    ) async throws -> Value {
        do {
            return try await stage.simulation.run(body)
        } catch let failure as SimulationFailure {
            throw TestFailure(failure, whoWaits: try await stage.standing())
        }
    }
}

/// Why a test could not go on.
public struct TestFailure: Error, Sendable, CustomStringConvertible {
    /// What is wrong, and what every open run waits for.
    public let description: String

    init(_ description: String) { self.description = description }

    init(_ failure: SimulationFailure, whoWaits runs: [String]) {
        let reason =
            switch failure.reason {
            case .standstill: "Nothing is left to do and nothing is due: what the test waits for will never come."
            case .timeIsUp, .endless, .outsideWork: failure.message
            }
        description = ([reason] + runs).joined(separator: "\n")
    }
}

extension TestStage {
    /// What every open run waits for, and what the script could not do, in sentences. Read from the database directly: the simulation may
    /// be over.
    func standing() async throws -> [String] {
        let client = try await client()
        var sentences: [String] = []
        for record in try await client.guarded({ try await client.store.runs(RunFilter(limit: 100)) }).reversed()
        where !record.state.isFinal {
            let (_, explanation) = try await client.explain(record.id, now: simulation.now)
            sentences.append(explanation.sentences.joined(separator: " "))
        }
        return sentences + refusals.map { "What the script wanted was refused: \($0)" }
    }
}
