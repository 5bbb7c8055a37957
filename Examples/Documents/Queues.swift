import Perdure
import PerdureEngine

struct SendMail: Workflow {
    static let name = "send-mail"
    static let version: WorkflowVersion = "1"
    static let owner = "mail"

    func run(_ address: String, _ context: WorkflowContext) async throws -> String { address }
}

enum Queues {
    static func use(engine: Engine, tenant: String, address: String, ada: Principal) async throws -> RunID {
        // begin use
        let limits = QueueLimits(concurrency: 20, perKey: 2, rate: .init(100, per: .minutes(1)))
        try await engine.client.setQueue("mails", limits: limits, by: ada)

        let place = QueuePlace("mails", key: tenant, priority: 7)
        let run = try await engine.start(SendMail.self, input: address, queue: place, by: ada)
        // end use
        return run.id
    }
}
