// What docs/getting-started.md shows of waiting. Each part between "begin" and "end" stands there word for word.

import Perdure

// begin signal
struct Delivered: Signal {
    struct Payload: Codable { var place: String }
    static let name = "delivered"
}
// end signal

struct WaitingExamples {
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
