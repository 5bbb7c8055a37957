internal import Foundation
package import Logging
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle
internal import Synchronization

/// The work of `perdure serve`: an engine that hosts nothing, made anew whenever it has ended, as long as the process is wanted.
package struct ServeProcess: Service {
    private static let rest = Duration.seconds(1)

    private let configuration: ServeConfiguration
    private let board: HealthBoard
    private let logger: Logger
    private let giveUp: @Sendable () -> Void

    /// - Parameter giveUp: Called when the process was told to end and its patience is over. It leaves nothing behind that another one
    ///   could not take up, whenever it ends.
    package init(
        _ configuration: ServeConfiguration, _ board: HealthBoard, logger: Logger, giveUp: @escaping @Sendable () -> Void
    ) {
        self.configuration = configuration
        self.board = board
        self.logger = logger
        self.giveUp = giveUp
    }

    /// Works until it is shut down.
    ///
    /// - Throws: `PerdureError` with the store's code if the store can never be used: it is not ours, too new, corrupt, or lets nobody in.
    package func run() async throws {
        // The rest is for what ends after it: telemetry, which has a limit of its own.
        let patience = configuration.shutdownPatience * 3 / 4, hasEnded = Atomic(false)
        defer { hasEnded.store(true, ordering: .relaxed) }
        try await withGracefulShutdownHandler {
            try await work()
        } onGracefulShutdown: { [board, giveUp] in
            board.change { $0.phase = .ending }
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(patience / .milliseconds(1)))) {
                if !hasEnded.load(ordering: .relaxed) { giveUp() }
            }
        }
    }

    private func work() async throws {
        let removes =
            configuration.retention != nil || configuration.tombstoneRetention != nil || configuration.archiveFolder != nil
        if removes, !configuration.store.isShared {
            logger.warning("what has expired in a file is removed by the process that hosts it: set the retention there")
        }
        var wasOpen = false
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            do {
                let engine = try await Engine(
                    store: configuration.store.configuration(logger: logger), configuration: engineConfiguration, logger: logger
                ) {}
                wasOpen = true
                try await serve(engine)
            } catch let error as PerdureError {
                if !wasOpen, error.isForGood { throw error }
                if board.storeFailed(error.message) {
                    logger.error(
                        "the store cannot be used; trying again",
                        metadata: ["code": "\(error.code)", "error": "\(error.message)"])
                }
                board.change { $0.phase = $0.phase == .ending ? .ending : .opening }
                await rest()
            }
        }
    }

    /// Returns when the engine was shut down.
    private func serve(_ engine: Engine) async throws {
        board.change { state in
            // What is broken stays so, whoever looks.
            if let earlier = state.upkeep { engine.upkeep.takeOver(earlier) }
            state.upkeep = engine.upkeep
            state.node = configuration.store.isShared ? engine.node.description : nil
            if state.phase == .opening { state.phase = .serving }
        }
        let watch = StoreWatch(
            client: engine.client, board: board, configuration: configuration, logger: logger, now: { Timestamp(Date()) })
        try await withThrowingTaskGroup { group in
            group.addTask { try await engine.run() }
            group.addTask { await watch.run() }
            // The watch goes on until the engine has ended.
            try await group.next()
            group.cancelAll()
        }
    }

    private var engineConfiguration: EngineConfiguration {
        var engine = EngineConfiguration()
        engine.duty = configuration.store.isShared ? .keeper : .visitor
        engine.nodeName = configuration.node
        engine.namespaces = configuration.namespaces
        engine.retention = configuration.retention
        engine.tombstoneRetention = configuration.tombstoneRetention
        engine.archive = configuration.archiveFolder.map { HistoryArchive($0) }
        engine.verificationRate = configuration.verificationRate
        engine.verificationRound = configuration.verificationRound
        engine.shutdownGrace = min(engine.shutdownGrace, configuration.shutdownPatience)
        // It runs no workflow code.
        engine.threads = 1
        return engine
    }

    private func rest() async {
        // Cancelled, the loop ends.
        try? await cancelWhenGracefulShutdown { try await Task.sleep(for: Self.rest) }
    }
}

extension PerdureError {
    /// Whether waiting does not help. A server that lets nobody in may be one that is being set up, but that is for people to see at once.
    var isForGood: Bool {
        [.storeNotOurs, .storeTooNew, .storeCorrupt, .storeRefused, .storeReadOnly, .usage, .nameInvalid].contains(code)
    }
}
