import Perdure

struct Paid: Signal {
    static let name = "paid"
    struct Payload: Codable, Sendable { var cents: Int }
}

/// State of the kind that workflows keep in local variables: not `Sendable`, and changed across waits.
final class Tally {
    var total = 0
    func add(_ number: Int) { total += number }
}

/// `async let` and task groups around steps, with names told apart by `id:`.
func parallel(_ context: WorkflowContext, vault: VaultClient, services: [String]) async throws -> [String: Key] {
    async let uses = context.read("uses") { try await vault.uses(of: "a") }
    async let key = context.step("issue", input: "a", .idempotent(retention: .forever)) { service, step in
        try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
    } undo: { key, step in
        try await vault.revoke(key.id, idempotencyKey: step.idempotencyKey)
    }
    async let activated: Void = context.act(
        "activate", input: KeyID(raw: "a"), .atMostOnce(inDoubt: .askPerson), irreversible: ""
    ) {
        id, _ in try await vault.activate(id)
    }
    async let slept: Void = context.sleep(for: .hours(1))
    async let paid = context.signal(Paid.self)
    async let typed = context.step(IssueKey(vault: vault), id: "typed", input: "typed")
    try await activated
    try await slept
    let first = try await (key, uses, paid.cents, typed).0

    return try await withThrowingTaskGroup(of: (String, Key).self) { group in
        for service in services {
            group.addTask {
                let key = try await context.step("issue", id: service, input: service, .idempotent(retention: .forever)) {
                    service, step in
                    try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
                } undo: { key, step in
                    try await vault.revoke(key.id, idempotencyKey: step.idempotencyKey)
                }
                return (service, key)
            }
        }
        var keys = ["a": first]
        for try await (service, key) in group { keys[service] = key }
        return keys
    }
}

/// A timeout around steps, waits and a race of both, with a result and without.
func timeouts(_ context: WorkflowContext, vault: VaultClient) async throws {
    let cents = try await context.timeout(.days(3)) { try await context.signal(Paid.self).cents }
    let request = RotationRequest(service: "db", oldKey: "a")
    try await context.timeout(.minutes(5), name: "switch", id: "1") {
        try await context.act("switch", input: request.service, .idempotent(retention: .days(1)), irreversible: "why") {
            service, _ in
            try await vault.activate(KeyID(raw: service))
        }
        try await context.sleep(for: .seconds(1))
    }
    do {
        let answer: Bool = try await context.timeout(.hours(1), name: "ask") {
            async let answer = context.ask("go", "Shall we go on?", as: Bool.self, of: .role("secops"), within: .days(1))
            async let uses = context.read("uses") { try await vault.uses(of: "a") }
            return try await uses > 0 ? answer : false
        }
        print(answer, cents)
    } catch let failure as StepFailure where failure.code == StepFailure.timedOut {
        print(failure)
    }
}

/// A timeout that works on state of its own, which is not `Sendable`.
func timeoutWithState(_ context: WorkflowContext) async throws -> Int {
    try await context.timeout(.hours(1)) {
        let tally = Tally()
        for number in 1...3 {
            try await context.sleep(for: .seconds(number))
            tally.add(number)
        }
        return tally.total
    }
}

/// Scopes change local state, return what is not `Sendable`, and nest.
func scopes(_ context: WorkflowContext, vault: VaultClient) async throws -> Int {
    var seen: [String] = []
    let tally = Tally()
    let same = try await context.scope("outer") {
        try await context.scope("inner", id: "1") {
            let key = try await context.step("issue", input: "db", .idempotent(retention: .forever)) { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            } undo: { key, step in
                try await vault.revoke(key.id, idempotencyKey: step.idempotencyKey)
            }
            seen.append(key.summary)
        }
        tally.add(seen.count)
        return tally
    }
    do {
        try await context.scope("may fail") { throw Rejected("no") }
    } catch let rejection as Rejected {
        seen.append(rejection.reason)
    }
    return same.total + seen.count
}

/// A clean-up that goes on although the task is cancelled.
func cleanUp(_ context: WorkflowContext, vault: VaultClient) async throws {
    var tries = 0
    let tally = Tally()
    do {
        try await context.sleep(for: .days(1))
    } catch is CancellationError {
        try await context.uncancelled {
            tries += 1
            tally.add(tries)
            try await context.act(
                "revoke", input: KeyID(raw: "a"), .idempotent(retention: .forever), irreversible: "is a clean-up"
            ) {
                id, step in try await vault.revoke(id, idempotencyKey: step.idempotencyKey)
            }
        }
        let id = await context.uncancelled { context.runID }
        print(id)
    }
}

/// A scope and a timeout within tasks of a group, and a scope within a timeout.
func nested(_ context: WorkflowContext, vault: VaultClient) async throws -> Int {
    try await withThrowingTaskGroup(of: Int.self) { group in
        for number in 1...2 {
            group.addTask {
                try await context.scope("branch", id: "\(number)") {
                    try await context.timeout(.minutes(1)) {
                        try await context.scope("inner") { try await context.read("uses") { try await vault.uses(of: "a") } }
                    }
                }
            }
        }
        return try await group.reduce(0, +)
    }
}

struct Agent: Workflow {
    static let name = "agent"
    static let version: WorkflowVersion = "2"
    let model: @Sendable ([String]) async throws -> String
    let tools: [String: @Sendable (String) async throws -> String]

    func run(_ prompt: String, _ context: WorkflowContext) async throws -> [String] {
        var transcript = [prompt]
        while true {
            let reply = try await context.read("model", input: transcript) { transcript, _ in try await model(transcript) }
            transcript.append(reply)
            guard let tool = tools[reply] else { return transcript }
            let approval: ApprovalRequirement? = reply == "delete" ? .required(by: .role("secops"), within: .hours(1)) : nil
            transcript.append(
                try await context.step(
                    "tool", input: reply, .atMostOnce(inDoubt: .askPerson), approval: approval, irreversible: "tools act outside"
                ) { input, _ in try await tool(input) })
        }
    }
}

/// A workflow method that is called from an actor keeps its caller's isolation and its locals.
actor Desk {
    private var count = 0
    func work(_ context: WorkflowContext, vault: VaultClient) async throws -> Int {
        let uses = try await context.read("uses") { try await vault.uses(of: "a") }
        try await context.scope("desk") { count += uses }
        return try await context.timeout(.days(1)) {
            let more = try await context.read("more") { try await vault.uses(of: "b") }
            await self.add(more)
            return await context.uncancelled { more }
        }
    }

    private func add(_ number: Int) { count += number }

    func counted(_ context: WorkflowContext) async -> Int { await context.uncancelled { count } }
}
