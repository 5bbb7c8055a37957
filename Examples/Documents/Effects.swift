// What docs/effects.md shows. Each part between "begin" and "end" stands there word for word.

import Foundation
import Perdure

struct Quote: Codable { var cents: Int }
struct Transfer: Codable { var iban: String, cents: Int }
struct Host: Codable { var name: String }
struct InsufficientFunds: Error, Codable { var missing: Int }

protocol Bank: Sendable {
    func quote(_ transfer: Transfer) async throws -> Quote
    func pay(_ transfer: Transfer, key: String) async throws -> String
    func reverse(_ payment: String, key: String) async throws
    func find(_ transfer: Transfer) async throws -> String?
    func send(_ transfer: Transfer, before deadline: Date) async throws -> String
}

struct EffectExamples {
    let bank: any Bank

    func reads(_ transfer: Transfer, _ context: WorkflowContext) async throws {
        // begin read
        let quote = try await context.read("quote", input: transfer) { transfer, _ in
            try await bank.quote(transfer)
        }
        // end read
        _ = quote
    }

    func idempotent(_ transfer: Transfer, _ context: WorkflowContext) async throws {
        // begin idempotent
        let payment = try await context.step("pay", input: transfer, .idempotent(retention: .hours(24))) { transfer, step in
            try await bank.pay(transfer, key: step.idempotencyKey)
        } undo: { payment, step in
            try await bank.reverse(payment, key: step.idempotencyKey)
        }
        // end idempotent
        _ = payment
    }

    func probed(_ transfer: Transfer, _ context: WorkflowContext) async throws {
        // begin probe
        let effect: Effect<Transfer, String> = .atMostOnce(
            inDoubt: .probe { transfer, _ in
                if let payment = try await bank.find(transfer) { return .happened(payment) }
                return .didNotHappen
            })
        try await context.step("send", input: transfer, effect, irreversible: "the money has left") { transfer, step in
            try await bank.send(transfer, before: step.deadline)
        }
        // end probe
    }

    func asked(_ transfer: Transfer, _ context: WorkflowContext) async throws {
        // begin person
        try await context.step(
            "send", input: transfer, .atMostOnce(inDoubt: .askPerson), irreversible: "the money has left"
        ) { transfer, step in
            try await bank.send(transfer, before: step.deadline)
        }
        // end person
    }

    func keyed(_ order: String, _ transfer: Transfer, _ context: WorkflowContext) async throws {
        // begin key
        try await context.step(
            "pay", key: "order \(order)", input: transfer, .idempotent(retention: .days(7)), irreversible: "see the order"
        ) { transfer, step in
            try await bank.pay(transfer, key: step.idempotencyKey)
        }
        // end key
    }

    func approved(_ host: Host, _ context: WorkflowContext) async throws {
        // begin approval
        try await context.act(
            "wipe", input: host, .atMostOnce(inDoubt: .askPerson), approval: .required(by: .role("on-call"), within: .hours(4)),
            irreversible: "the disk is empty afterwards"
        ) { host, _ in
            try await wipe(host)
        }
        // end approval
    }

    func policy(_ transfer: Transfer, _ context: WorkflowContext) async throws -> String? {
        // begin policy
        var policy = StepPolicy()
        policy.retry = RetryPolicy(initialDelay: .milliseconds(200), maximumAttempts: 5).thenThrow
        policy.attemptTimeout = .seconds(30)
        do {
            return try await context.step(
                "pay", input: transfer, .idempotent(retention: .hours(24)), policy: policy, irreversible: "paid"
            ) { transfer, step in
                try await bank.pay(transfer, key: step.idempotencyKey)
            }
        } catch let failure as StepFailure where failure.decoded(as: InsufficientFunds.self) != nil {
            return nil  // a case that the business knows; every other failure is thrown on
        }
        // end policy
    }

    func heartbeat(_ files: [String], _ context: WorkflowContext) async throws {
        // begin heartbeat
        var policy = StepPolicy()
        policy.attemptTimeout = .hours(6)
        policy.heartbeatTimeout = .minutes(1)
        try await context.act(
            "copy", input: files, .idempotent(retention: .forever), policy: policy, irreversible: "copies harm nobody"
        ) { files, step in
            let done = try step.lastHeartbeat(as: Int.self) ?? 0
            for (index, file) in files.enumerated().dropFirst(done) {
                try await copy(file, key: step.idempotencyKey)
                try step.heartbeat(index + 1)
            }
        }
        // end heartbeat
    }

    func copy(_ file: String, key: String) async throws {}

    func wipe(_ host: Host) async throws {}
}

// begin classified
extension InsufficientFunds: ClassifiedError {
    var isDefinite: Bool { true }  // the bank refused: nothing happened
    var isRetryable: Bool { false }  // and asking again is of no use
}
// end classified

struct Release: Codable { var name: String }

// begin owner
struct Wipe: Workflow {
    static let name = "wipe"
    static let version: WorkflowVersion = "1"
    static let owner = "platform"  // who is asked when a run waits for a decision
    // end owner
    func run(_ host: Host, _ context: WorkflowContext) async throws -> String {
        try await context.act("wipe", input: host, .atMostOnce(inDoubt: .askPerson), irreversible: "the disk is empty") { _, _ in
        }
        return host.name
    }
}

// begin scope
struct Provision: Workflow {
    static let name = "provision"
    static let version: WorkflowVersion = "1"
    static let owner = "platform"

    func run(_ host: Host, _ context: WorkflowContext) async throws -> Bool {
        do {
            try await context.scope("machine") {
                try await context.act("create", input: host, .idempotent(retention: .forever)) { host, step in
                    try await Cloud.create(host, key: step.idempotencyKey)
                } undo: { host, step in
                    try await Cloud.delete(host, key: step.idempotencyKey)
                }
                try await context.act(
                    "configure", input: host, .idempotent(retention: .forever), irreversible: "goes with the machine"
                ) { host, step in
                    try await Cloud.configure(host, key: step.idempotencyKey)
                }
            }
            return true
        } catch is StepFailure {
            return false  // "create" has been undone
        }
    }
}
// end scope

enum Cloud {
    static func create(_ host: Host, key: String) async throws {}
    static func delete(_ host: Host, key: String) async throws {}
    static func configure(_ host: Host, key: String) async throws {}
}
