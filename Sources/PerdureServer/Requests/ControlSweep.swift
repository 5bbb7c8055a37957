internal import Logging
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle

/// Forgets requests, sessions and refusals whose time is over, as long as it runs. Several processes may do it beside each other.
struct ControlSweep: Sendable {
    private static let pause = Duration.seconds(600)
    private static let atOnce = 500
    private static let kinds = [RequestRecords.kind, Sessions.kind, Refusals.kind]

    let client: Client
    let now: @Sendable () -> Timestamp
    let logger: Logger

    /// Returns when it is cancelled, or the process ends.
    func run() async {
        try? await cancelWhenGracefulShutdown {
            while true {
                do {
                    for kind in Self.kinds {
                        while try await client.guarded({
                            try await client.store.removeControls(kind: kind, dueBy: now(), limit: Self.atOnce)
                        }) == Self.atOnce {}
                    }
                } catch let error as PerdureError {
                    logger.warning(
                        "what is over is not removed from the rows for control; trying again", metadata: ["error": "\(error)"])
                }
                try await Task.sleep(for: Self.pause)
            }
        }
    }
}
