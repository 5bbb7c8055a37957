import Foundation
import Perdure
import PerdureCommands
import PerdureEngine

struct Order: Codable, Sendable {
    var item: String
    var amount: Int
}

/// Completes at once.
struct Greet: Workflow {
    static let name = "greet"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    struct Input: Codable, Sendable { var name: String }
    func run(_ input: Input, _ context: WorkflowContext) async throws -> String {
        try await context.read("look-up", input: input.name) { name, _ in "Hello, \(name)" }
    }
}

/// Reserves, waits for an approval, charges.
struct Ship: Workflow {
    static let name = "ship"
    static let version: WorkflowVersion = "2.1"
    static let owner = "tests"
    func run(_ order: Order, _ context: WorkflowContext) async throws -> String {
        try await context.act("reserve", input: order.item, .idempotent(retention: .forever)) { _, _ in
        } undo: { _, _ in
        }
        try await context.act(
            "charge", input: order.amount, .atMostOnce(inDoubt: .askPerson),
            approval: .required(by: .role("finance"), within: .days(3)), irreversible: "money has moved"
        ) { _, _ in }
        return "shipped"
    }
}

struct Go: Signal {
    typealias Payload = Int
    static let name = "go"
}

/// Waits for a signal.
struct Wait: Workflow {
    static let name = "wait"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> Int {
        try await context.act("prepare", input: 1, .idempotent(retention: .forever)) { _, _ in
        } undo: { _, _ in
        }
        return try await context.signal(Go.self)
    }
}

/// The code of a later build: the same name and version, another step. A history of `Wait` does not fit it.
struct WaitOtherwise: Workflow {
    static let name = "wait"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> Int {
        try await context.act("get ready", input: 1, .idempotent(retention: .forever), irreversible: "it is done") { _, _ in }
        return try await context.signal(Go.self)
    }
}

/// Asks a question.
struct Ask: Workflow {
    static let name = "ask"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> String {
        try await context.ask("region", "Which region?", of: .role("ops"), within: .days(1))
    }
}

/// Sends something that gives no answer, and parks.
struct Doubt: Workflow {
    static let name = "doubt"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"
    struct NoAnswer: Error {}
    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> String {
        try await context.step(
            "send", input: 7, .atMostOnce(inDoubt: .askPerson), policy: StepPolicy(attemptTimeout: .minutes(1), grace: .zero)
        ) { _, _ -> String in
            throw NoAnswer()
        } undo: { _, _ in
        }
    }
}

/// Uses up its one attempt; the second, which a person allows, works.
struct Stuck: Workflow {
    static let name = "stuck"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"
    struct Busy: ClassifiedError { var isDefinite: Bool { true } }
    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> Int {
        try await context.step(
            "call", input: 1, .idempotent(retention: .forever), policy: .retry(.never), irreversible: "no undo"
        ) {
            _, step in
            if step.attempt == 1 { throw Busy() }
            return step.attempt
        }
    }
}

struct SetLimit: Update {
    typealias Payload = Int
    typealias Reply = String
    static let name = "set-limit"
}

/// Waits for an update that makes sense.
struct Limited: Workflow {
    static let name = "limited"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> String {
        try await context.update(
            SetLimit.self, validate: { if $0 == 0 { throw Rejected("a limit is at least 1") } }
        ) { limit in
            "the limit is \(limit)"
        }
    }
}

/// Goes on once as another run.
struct Relay: Workflow {
    static let name = "relay"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    struct Input: Codable, Sendable { var isLast: Bool? }
    func run(_ input: Input, _ context: WorkflowContext) async throws -> String {
        let text = try await context.read("look-up", input: 1) { _, _ in "there" }
        if input.isLast == true { return text }
        try await context.continueAsNew(Relay.self, input: Input(isLast: true))
    }
}

/// Fails.
struct Fail: Workflow {
    static let name = "fail"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    func run(_ input: Nothing, _ context: WorkflowContext) async throws -> Int {
        try await context.read("refused", input: 1) { _, _ -> Int in throw Rejected("the other side says no") }
    }
}

/// Has two children, of which one waits for a person, and lets a third go on by itself.
struct Deliver: Workflow {
    static let name = "deliver"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"
    func run(_ order: Order, _ context: WorkflowContext) async throws -> String {
        let greeting = try await context.child(Greet.self, input: Greet.Input(name: order.item), irreversible: "it was said")
        try await context.startChild(Wait.self, input: Nothing(), irreversible: "it waits for others")
        return try await greeting + ", " + context.child(Ship.self, input: order) { _, _ in }
    }
}

struct TestApp: PerdureApp {
    static var workflows: Workflows {
        Greet()
        Ship()
        Wait()
        Ask()
        Doubt()
        Stuck()
        Limited()
        Relay()
        Fail()
        Deliver()
    }
}
