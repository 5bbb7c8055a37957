// What docs/getting-started.md shows of an engine inside of a service. Each part between "begin" and "end" stands there word for
// word.

import Logging
import Perdure
import PerdureEngine
import PerdureSQLite
import ServiceLifecycle
import UnixSignals

struct Order: Codable { var id: String, cents: Int }

struct Purchase: Workflow {
    static let name = "purchase"
    static let version: WorkflowVersion = "1"
    static let owner = "shop"
    func run(_ order: Order, _ context: WorkflowContext) async throws -> String { order.id }
}

// begin service
/// Takes orders: an HTTP server, a consumer of a queue.
struct Shop: Service {
    let engine: Engine
    let orders: AsyncStream<Order>

    func run() async throws {
        for await order in orders.cancelOnGracefulShutdown() {
            let run = try await engine.start(
                Purchase.self, input: order, key: "order \(order.id)", by: Principal(.workload, "shop"))
            print("\(run.id) \(run.isNew ? "is started" : "was started before")")  // its result is another story
        }
    }
}
// end service

struct Seats {
    func hold(_ seat: String, key: String) async throws -> String { seat }
    func letGo(_ hold: String, key: String) async throws {}
}

// begin seat
/// Holds a seat until it is let go.
struct HoldSeat: Step {
    static let name = "hold-seat"
    let seats: Seats
    var effect: Effect<String, String> { .idempotent(retention: .forever) }

    func perform(_ seat: String, _ step: StepContext) async throws -> String {
        try await seats.hold(seat, key: step.idempotencyKey)
    }

    func undo(_ hold: String, of seat: String, _ step: StepContext) async throws {
        try await seats.letGo(hold, key: step.idempotencyKey)
    }
}
// end seat

func undo(_ seats: Seats) async throws {
    // begin steps
    let engine = try await Engine(store: .sqlite("shop.db")) {
        Purchase()
    } steps: {
        HoldSeat(seats: seats)
    }
    // end steps
    try await engine.run()
}

func serve(_ orders: AsyncStream<Order>, _ logger: Logger) async throws {
    // begin group
    let engine = try await Engine(store: .sqlite("shop.db"), logger: logger) { Purchase() }
    let group = ServiceGroup(
        services: [engine, Shop(engine: engine, orders: orders)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    try await group.run()
    // end group
}

func look(_ engine: Engine, _ id: RunID) async throws {
    // begin find
    guard let run = try await engine.find(Purchase.self, id: id) else { return }  // or key: "order 7"
    do {
        print("done: \(try await run.result())")
    } catch let error as PerdureError where error.code == .runFailed {
        if let refused = error.failure?.decoded(as: Rejected.self) { print("refused: \(refused.reason)") }
    }
    // end find
}
