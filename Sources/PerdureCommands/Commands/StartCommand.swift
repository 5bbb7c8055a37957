internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle
internal import Synchronization

/// `start`: a new run.
struct StartCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Starts a run of a workflow.",
        discussion: """
            Where another process hosts the store, the run is handed to it, and --wait waits until it closes. Where nobody does, this
            process hosts the run until it closes. On a database the run is handed to the nodes if one that lives hosts this version of
            the workflow; otherwise this process is a node until the run closes.

            Examples:
              start rotate-secret --input '{"service": "db"}' --key db-2026-11
              start rotate-secret --input @request.json --wait
              start send-mail --input '{"to": "ada"}' --queue mails --queue-key acme
              start send-mail --namespace shop --input '{"to": "ada"}'

            With a key that a run has already, that run is meant, and nothing is started. The exit status is 1 if the run was waited for,
            or hosted by this process, and did not complete; of a run that the key has found closed, only with --wait. With --json: an
            object with run, new (whether this call has started it), state, and, when the run has closed, output or error (code,
            message).
            """)

    @OptionGroup var store: StoreOptions
    @Argument(help: "The workflow's name.") var workflow: String
    @Option(help: "Default: the newest.") var version: String?
    @Option(help: ArgumentHelp("The input: JSON, @file or - for standard input. Default: {}.", valueName: "json")) var input =
        "{}"
    @Option(help: "Makes the start repeatable: one key, one run of the workflow.") var key: String?
    @Option(help: ArgumentHelp("A label to find the run by; may be given several times.", valueName: "name=value"))
    var label: [LabelArgument] = []
    @Option(help: ArgumentHelp("Cancel the run when it has taken that long: 90s, 15m, 8h, 3d.", valueName: "duration"))
    var deadline: DurationArgument?
    @OptionGroup var place: QueueOptions
    @Flag(help: "Wait until the run closes.") var wait = false
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let json = try JSONArgument.read(input, option: "--input", environment)
        let order = RunOrder(
            workflow: workflow, version: version.map { WorkflowVersion($0) }, input: json,
            options: try StartOptions(
                key: key, labels: LabelArgument.dictionary(label), deadline: deadline?.duration, queue: place.place),
            sender: try actor.principal(environment), workflows: try await environment.workflows(),
            configuration: store.engine(environment))
        try order.check()
        // One more process can always host workflows there. What counts is whether one of those that do will take this run.
        if store.place(environment).isShared, try await isHostedElsewhere(order, environment) {
            return try await startBeside(order, environment)
        }
        let engine: Engine
        do {
            engine = try await Engine(
                store: store.hosted(environment), configuration: order.configuration, logger: environment.logger
            ) { order.workflows }
        } catch let error as PerdureError where error.code == .storeLocked {
            return try await startBeside(order, environment)
        }
        try await host(order, on: engine, environment)
    }

    // MARK: Beside another process

    private func isHostedElsewhere(_ order: RunOrder, _ environment: CommandEnvironment) async throws -> Bool {
        do {
            let needed = try order.needed
            return try await store.withClient(environment) { client in
                try await client.livingNodes().contains { $0.hosted.contains(needed) }
            }
        } catch let error as PerdureError where error.code == .storeMissing || error.code == .storeUnavailable {
            // There is no store yet, or one of an earlier release, which an engine makes ready. If it is something else, that is told then.
            return false
        }
    }

    private func startBeside(_ order: RunOrder, _ environment: CommandEnvironment) async throws {
        let outcome = try await store.withClient(environment) { client in
            let (placed, isNew) = try await order.place(with: client)
            let id = placed.id
            if !json, wait { environment.print(isNew ? "Run \(id) is started." : "Run \(id) has this key already.") }
            if wait {
                try await client.wait {
                    let state = try await $0.latestRecord(of: id).state
                    return state.isFinal || state == .quarantined
                }
            }
            return try await RunOutcome.read(id, client, isNew: isNew, wasWaitedFor: wait)
        }
        try report(outcome, environment)
    }

    // MARK: In this process

    private func host(_ order: RunOrder, on engine: Engine, _ environment: CommandEnvironment) async throws {
        let place = store.place(environment)
        let watcher = StartedRun(engine: engine, order: order, wait: wait) { run, isNew in
            guard !json, isNew || !run.state.isFinal else { return }
            // One that was there before may be another node's.
            let does = isNew || !place.isShared ? "hosts it" : "waits"
            environment.print(
                "Run \(run.id) \(isNew ? "is started" : "has this key already"); this process \(does) until it closes.")
        }
        try await EngineHost(engine: engine, environment: environment).run(beside: [watcher])
        switch watcher.result.withLock({ $0 }) {
        case .success(let outcome): try report(outcome, environment)
        case .failure(let error): throw error
        case nil:
            environment.print(note: "Stopped; the run goes on as soon as its workflow is hosted.", json: json)
            throw CommandStatus.failed
        }
    }

    private func report(_ outcome: RunOutcome, _ environment: CommandEnvironment) throws {
        environment.print(json ? outcome.json.canonicalText : outcome.text(environment.style))
        guard outcome.isSuccess else { throw CommandStatus.failed }
    }
}

/// Starts the run once its engine runs, and waits until it closes.
private final class StartedRun: Service {
    let engine: Engine
    let order: RunOrder
    /// Whether it counts how a run has ended that was closed when it was found.
    let wait: Bool
    let onStart: @Sendable (RunRecord, _ isNew: Bool) -> Void
    let result = Mutex<Result<RunOutcome, any Error>?>(nil)

    init(
        engine: Engine, order: RunOrder, wait: Bool, onStart: @escaping @Sendable (RunRecord, _ isNew: Bool) -> Void
    ) {
        self.engine = engine
        self.order = order
        self.wait = wait
        self.onStart = onStart
    }

    func run() async throws {
        do {
            let (run, isNew) = try await order.start(on: engine)
            let id = run.id
            onStart(run, isNew)
            let isWaitedFor = wait || !run.state.isFinal && run.state != .quarantined
            if isWaitedFor {
                try await cancelWhenGracefulShutdown { [engine] in
                    do {
                        _ = try await engine.result(of: id)
                    } catch let error as PerdureError where Self.saysHowItEnded.contains(error.code) {}
                }
            }
            let outcome = try await RunOutcome.read(id, engine.client, isNew: isNew, wasWaitedFor: isWaitedFor)
            result.withLock { $0 = .success(outcome) }
        } catch is CancellationError {
            return
        } catch {
            result.withLock { $0 = .failure(error) }
        }
    }

    private static let saysHowItEnded: [PerdureError.Code] = [.runFailed, .runCancelled, .runTerminated, .runQuarantined]
}
