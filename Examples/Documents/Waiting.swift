// What docs/getting-started.md shows of waiting. Each part between "begin" and "end" stands there word for word.

import Perdure
import PerdureEngine

// begin signal
struct Delivered: Signal {
    struct Payload: Codable { var place: String }
    static let name = "delivered"
}
// end signal

// begin update
struct Address: Update {
    typealias Payload = String
    typealias Reply = String
    static let name = "address"
}
// end update

struct Delivery: Workflow {
    static let name = "delivery"
    static let version: WorkflowVersion = "1"
    static let owner = "shop"

    func run(_ parcel: String, _ context: WorkflowContext) async throws -> String {
        // begin notes
        try await context.label(["carrier": "north"])
        try await context.report("waits for an address")
        return try await context.update(
            Address.self, validate: { if $0.isEmpty { throw Rejected("an address is needed") } }
        ) { address in
            try await context.report("is sent to \(address)")
            return "\(parcel) goes to \(address)"
        }
        // end notes
    }
}

struct WaitingExamples {
    func deadline(_ engine: Engine) async throws -> RunID {
        // begin deadline
        let run = try await engine.start(
            Delivery.self, input: "parcel 7", labels: ["customer": "7"], deadline: .days(30), by: Principal(.workload, "shop"))
        // end deadline
        return run.id
    }

    func waits(_ context: WorkflowContext) async throws {
        // begin waits
        try await context.sleep(for: .days(14))
        let delivery = try await context.signal(Delivered.self)
        let isLarge: Bool = try await context.ask("size", "Is \(delivery.place) large enough?", within: .hours(8))
        // end waits
        _ = isLarge
    }

    func races(_ context: WorkflowContext) async throws -> String {
        // begin timeout
        do {
            return try await context.timeout(.days(3)) { try await context.signal(Delivered.self).place }
        } catch let failure as StepFailure where failure.code == StepFailure.timedOut {
            return "nowhere"  // nothing has come for three days
        }
        // end timeout
    }
}
