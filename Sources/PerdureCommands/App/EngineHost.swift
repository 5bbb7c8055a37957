internal import Logging
internal import PerdureEngine
internal import ServiceLifecycle
internal import UnixSignals

/// Hosts an engine for the length of a command.
struct EngineHost {
    let engine: Engine
    let environment: CommandEnvironment

    /// Runs the engine until a signal, the end of a companion, or cancellation; lets steps that are under way end.
    func run(beside companions: [any Service]) async throws {
        let others = (companions + environment.companions).map {
            ServiceGroupConfiguration.ServiceConfiguration(
                service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup)
        }
        let host = ServiceGroupConfiguration.ServiceConfiguration(
            service: engine, successTerminationBehavior: .gracefullyShutdownGroup, failureTerminationBehavior: .cancelGroup)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [host] + others, gracefulShutdownSignals: environment.handlesSignals ? [.sigint, .sigterm] : [],
                logger: environment.logger))
        try await group.run()
    }
}
