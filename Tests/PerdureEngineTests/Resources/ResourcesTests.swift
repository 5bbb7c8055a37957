import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

@Suite struct ResourcesTests {
    /// Nobody answers here what other nodes have said.
    private func resources() -> Resources {
        let scheduler = Scheduler(clock: SystemClock())
        let exchange = CircuitExchange(
            NoStore(), namespace: "default", node: NodeID(rawValue: "n"), leave: .seconds(15), alarm: scheduler.makeAlarm())
        return Resources(
            [:], clock: SystemClock(), random: { 0 }, scheduler: scheduler,
            logger: Logger(label: "perdure") { _ in SwiftLogNoOpLogHandler() }, metrics: EngineMetrics(), exchange: exchange)
    }

    @Test func `a step that gives up before the first look at its resource leaves nothing`() {
        let resources = resources()
        for number in 1...3 {
            let ticket = ResourceGate.Ticket(run: Int64(number), operation: OperationID(number: 0))
            #expect(resources.ask("resource \(number)", ticket) { _ in } == .queued)
            resources.end("resource \(number)", ticket, .withdrawn)
        }
        #expect(resources.state.withLock { $0.callbacks.isEmpty })
    }
}
