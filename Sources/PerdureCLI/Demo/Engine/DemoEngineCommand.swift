import ArgumentParser
import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureExamples
import PerdureHistory
import PerdureSQLite
import PerdureStore

/// The process that is killed: an engine with the example workflows. It ends when its standard input does.
struct DemoEngineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo-engine", abstract: "Hosts the demo's workflows, to be killed.", shouldDisplay: false)

    @Option(help: "What to do, as JSON.") var setup: String

    func run() async throws {
        let setup = try JSONDecoder().decode(EngineSetup.self, from: Data(setup.utf8))
        let reporter = Reporter()
        let crash = CrashSwitch(setup.crash, reporter: reporter)
        let clock = setup.clock.map { DrivenClock(Timestamp(microseconds: $0)) }
        let engine = try await Self.engine(setup, clock, crash, reporter)
        try await withThrowingTaskGroup { group in
            group.addTask { try await engine.run() }
            group.addTask { await Self.untilInputEnds { clock?.move(to: $0) } }
            try await Self.start(setup.starts, on: engine, reporter)
            reporter.report(EngineReport(what: .ready))
            try await group.next()
            group.cancelAll()
        }
    }

    private static func start(_ starts: [EngineSetup.Start], on engine: Engine, _ reporter: Reporter) async throws {
        for start in starts {
            let id = try await engine.start(
                workflow: start.workflow, json: Data(start.input.utf8), key: start.key, by: Principal(.human, "demo"))
            let state = try await engine.client.run(id).state
            reporter.report(
                EngineReport(what: .run, run: id.description, workflow: start.workflow, key: start.key, kind: state))
        }
    }

    private static func engine(
        _ setup: EngineSetup, _ clock: DrivenClock?, _ crash: CrashSwitch, _ reporter: Reporter
    ) async throws -> Engine {
        var configuration = EngineConfiguration()
        // Hashing a debug build's executable at each of many starts would take longer than everything else.
        configuration.build = setup.build
        configuration.poisonLimit = 1_000
        if let clock { configuration.clock = clock }
        let time = configuration.clock
        let store = StoreConfiguration { role in
            let file = StoreConfiguration.sqlite(setup.store, clock: { time.now() })
            return CrashingStore(try await file.open(role), crash, reporter)
        }
        // Moved time makes nobody wait, so the delays of production cost nothing.
        let policy = clock == nil ? Self.policy : StepPolicy(attemptTimeout: .minutes(1), grace: .zero)
        let transport = CrashingTransport(crash: crash, isDefended: setup.isDefended)
        let peer = PeerClient(address: setup.peer, transport: transport)
        let bank = PeerClient(address: setup.bank, transport: transport)
        var logger = Logger(label: "demo-engine") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .critical
        return try await Engine(store: store, configuration: configuration, logger: logger) {
            RotateSecrets(peer: peer, policy: policy)
            TakePayment(peer: peer, policy: policy, settlement: .milliseconds(300))
            TakePaymentWithoutKeys(bank: bank, policy: policy)
            TakePaymentByHand(bank: bank, policy: policy)
            OnboardCustomer(peer: peer, policy: policy)
            ReserveSeat(peer: peer, policy: policy)
            ProvisionAccount(peer: peer, policy: policy)
            DeprovisionAccount(peer: peer, policy: policy)
            RespondToIncident(peer: peer, network: bank, policy: policy, patience: .milliseconds(1_500))
            MoveSystems(peer: peer, policy: policy)
        }
    }

    /// Everything fast, so that the demo is: what takes minutes in production takes moments here.
    private static var policy: StepPolicy {
        StepPolicy(
            retry: RetryPolicy(initialDelay: .milliseconds(50), maximumDelay: .milliseconds(500)), attemptTimeout: .seconds(1),
            grace: .milliseconds(100))
    }

    /// - Parameter tell: Called with each time that comes as a line.
    private static func untilInputEnds(_ tell: @escaping @Sendable (Timestamp) -> Void) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        Thread.detachNewThread {
            while let line = readLine() {
                if let time = Int64(line) { tell(Timestamp(microseconds: time)) }
            }
            continuation.finish()
        }
        for await _ in stream {}
    }
}
