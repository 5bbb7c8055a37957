// What runs in production before the deployment. `DeployAfter` is the program that is to follow it.

import DeployWorld
import Perdure
import PerdureCommands
import PerdureEngine

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
}

/// The next program does not have it any more.
struct Audit: Workflow {
    static let name = "audit"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"

    func run(_ year: String, _ context: WorkflowContext) async throws -> String {
        _ = try await context.signal(Go.self)
        return "\(year) is audited"
    }
}

/// The next program renames its step without giving it another version.
struct Renew: Workflow {
    static let name = "renew"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"
    let world = World()

    func run(_ contract: String, _ context: WorkflowContext) async throws -> String {
        let paid = try await context.step(
            "charge", input: contract, .idempotent(retention: .forever), irreversible: "it is paid"
        ) { _, step in
            try await world.ask("charge", key: step.idempotencyKey)
        }
        _ = try await context.signal(Go.self)
        return paid
    }
}

/// The next program does the same step in another way.
struct Settle: Workflow {
    static let name = "settle"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"
    let world = World()

    func run(_ account: String, _ context: WorkflowContext) async throws -> String {
        try await context.step("settle", input: account, .idempotent(retention: .forever), irreversible: "it is settled") {
            _, step in
            try await world.ask("settle", key: step.idempotencyKey)
        }
    }
}

/// The next program leaves its first step out.
struct Notice: Workflow {
    static let name = "notice"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"
    let world = World()

    func run(_ text: String, _ context: WorkflowContext) async throws -> String {
        try await context.act("post", input: text, .idempotent(retention: .forever), irreversible: "it was read") { _, step in
            _ = try await world.ask("post", key: step.idempotencyKey)
        }
        _ = try await context.signal(Go.self)
        return text
    }
}

/// The next program adds a step, guarded by a patch.
struct Bill: Workflow {
    static let name = "bill"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"

    func run(_ customer: String, _ context: WorkflowContext) async throws -> String {
        let net = try await context.read("net", input: customer) { customer, _ in "\(customer) owes 100" }
        _ = try await context.signal(Go.self)
        return net
    }
}

struct App: PerdureApp {
    static var workflows: Workflows {
        Ship.V1()
        Audit()
        Renew()
        Settle()
        Notice()
        Bill()
    }

    static var configuration: EngineConfiguration {
        var configuration = EngineConfiguration()
        // A step that is held in a test is held beyond any grace.
        configuration.shutdownGrace = .milliseconds(100)
        return configuration
    }
}

await App.main()
