internal import Logging
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle

/// Forgets requests whose time is over, as long as it runs. Several processes may do it beside each other.
struct RequestSweep: Sendable {
    private static let pause = Duration.seconds(600)
    private static let atOnce = 500

    let client: Client
    let now: @Sendable () -> Timestamp
    let logger: Logger

    /// Returns when it is cancelled, or the process ends.
    func run() async {
        try? await cancelWhenGracefulShutdown {
            while true {
                do {
                    while try await client.guarded({
                        try await client.store.removeControls(kind: RequestRecords.kind, dueBy: now(), limit: Self.atOnce)
                    }) == Self.atOnce {}
                } catch let error as PerdureError {
                    logger.warning("requests whose time is over are not forgotten; trying again", metadata: ["error": "\(error)"])
                }
                try await Task.sleep(for: Self.pause)
            }
        }
    }
}
