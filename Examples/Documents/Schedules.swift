import Perdure
import PerdureEngine

struct NightlyReport: Workflow {
    static let name = "nightly-report"
    static let version: WorkflowVersion = "1"
    static let owner = "reports"

    func run(_ customer: String, _ context: WorkflowContext) async throws -> String { customer }
}

enum Schedules {
    static func make(engine: Engine, ada: Principal) async throws {
        // begin make
        var nightly = try Schedule(.cron("30 2 * * *", in: "Europe/Berlin"), NightlyReport.self, input: "acme")
        nightly.overlap = .queue
        nightly.jitter = .minutes(10)
        try await engine.schedule("nightly-report", nightly, by: ada)
        // end make
    }
}
