// What is to run in production after the deployment, in the place of `DeployBefore`. What its comments call wrong is wrong on purpose.

import DeployWorld
import Perdure
import PerdureCommands
import PerdureEngine

/// Both versions stand side by side: runs that were started on the first one end on it.
enum Ship {
    struct V1: Workflow {
        static let name = "ship"
        static let version: WorkflowVersion = "1"
        static let owner = "billing"
        let world = World()

        func run(_ parcel: String, _ context: WorkflowContext) async throws -> String {
            try await context.act("label", input: parcel, .idempotent(retention: .forever), irreversible: "it sticks") {
                _, step in
                _ = try await world.ask("label", key: step.idempotencyKey)
            }
            _ = try await context.signal(Go.self)
            return "\(parcel) by road"
        }
    }

    struct V2: Workflow {
        static let name = "ship"
        static let version: WorkflowVersion = "2"
        static let owner = "billing"

        func run(_ parcel: String, _ context: WorkflowContext) async throws -> String {
            _ = try await context.signal(Go.self)
            return "\(parcel) by rail"
        }
    }
}

/// Wrong: the step has another name, and the version is the same.
struct Renew: Workflow {
    static let name = "renew"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"
    let world = World()

    func run(_ contract: String, _ context: WorkflowContext) async throws -> String {
        let paid = try await context.step(
            "invoice", input: contract, .idempotent(retention: .forever), irreversible: "it is paid"
        ) { _, step in
            try await world.ask("charge", key: step.idempotencyKey)
        }
        _ = try await context.signal(Go.self)
        return paid
    }
}

/// Right: the same step, done in another way.
struct Settle: Workflow {
    static let name = "settle"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"
    let world = World()

    func run(_ account: String, _ context: WorkflowContext) async throws -> String {
        try await context.step("settle", input: account, .idempotent(retention: .forever), irreversible: "it is settled") {
            account, step in
            "\(account): " + (try await world.ask("settle", key: step.idempotencyKey))
        }
    }
}

/// Wrong: the first step is gone, and the version is the same.
struct Notice: Workflow {
    static let name = "notice"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"

    func run(_ text: String, _ context: WorkflowContext) async throws -> String {
        _ = try await context.signal(Go.self)
        return text
    }
}

/// Right: runs that are past the change do not see it.
struct Bill: Workflow {
    static let name = "bill"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"

    func run(_ customer: String, _ context: WorkflowContext) async throws -> String {
        let sum =
            try context.patched("with-tax")
            ? try await context.read("gross", input: customer) { customer, _ in "\(customer) owes 119" }
            : try await context.read("net", input: customer) { customer, _ in "\(customer) owes 100" }
        _ = try await context.signal(Go.self)
        return sum
    }
}

struct App: PerdureApp {
    static var workflows: Workflows {
        Ship.V1()
        Ship.V2()
        Renew()
        Settle()
        Notice()
        Bill()
    }

    static var configuration: EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.shutdownGrace = .milliseconds(100)
        return configuration
    }
}

await App.main()
