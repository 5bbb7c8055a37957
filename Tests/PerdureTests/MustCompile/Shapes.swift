import Perdure

// Every call that has to compile, as an author writes it. The test target compiles this file with the package's settings;
// `CompileSuccessTests` compiles it again with those of a client that has turned on no upcoming feature.

struct KeyID: Codable, Sendable, Equatable { var raw: String }
struct Key: Codable, Sendable { var id: KeyID; var summary: String }
struct RotationRequest: Codable, Sendable { var service: String; var oldKey: String }
struct RotationReport: Codable, Sendable { var key: KeyID; var lateUses: Int }

struct VaultClient: Sendable {
    func issueKey(for service: String, idempotencyKey: String) async throws -> Key {
        Key(id: KeyID(raw: service), summary: "key")
    }
    func revoke(_ key: KeyID, idempotencyKey: String) async throws {}
    func activate(_ key: KeyID) async throws {}
    func activeKey(of service: String) async throws -> KeyID { KeyID(raw: service) }
    func uses(of key: String) async throws -> Int { 3 }
}

struct RotateSecret: Workflow {
    static let name = "rotate-secret"
    static let version: WorkflowVersion = "1.3"
    let vault: VaultClient

    func run(_ request: RotationRequest, _ context: WorkflowContext) async throws -> RotationReport {
        let key = try await context.step("issue-key", input: request.service, .idempotent(retention: .days(1))) { service, step in
            try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
        } undo: { key, step in
            try await vault.revoke(key.id, idempotencyKey: step.idempotencyKey)
        }
        try await context.act(
            "switch", input: key.id,
            .atMostOnce(
                inDoubt: .probe { id, _ in
                    try await vault.activeKey(of: request.service) == id ? .happened(()) : .didNotHappen
                }),
            approval: .required(by: .role("secops"), within: .days(3)), irreversible: "the old key stops working"
        ) { id, _ in
            try await vault.activate(id)
        }
        try await context.sleep(for: .days(1))
        let uses = try await context.read("old-key-uses", input: request.oldKey) { key, _ in try await vault.uses(of: key) }
        return RotationReport(key: key.id, lateUses: uses)
    }
}

/// Reads, with and without an input, with and without the attempt.
func reads(_ context: WorkflowContext, vault: VaultClient) async throws {
    let plain = try await context.read("plain") { try await vault.uses(of: "a") }
    let attempt: Int = try await context.read("attempt") { step in step.attempt }
    let input = try await context.read("input", id: "1", input: "a", policy: .retry(.never)) { key, step in
        print(step.step)
        let uses = try await vault.uses(of: key)
        return uses + 1
    }
    let several = try await context.read("several", policy: .retry(.limited(to: 3).thenThrow)) {
        let uses = try await vault.uses(of: "b")
        return [uses, uses]
    }
    let attempts = try await context.read("attempts") { step in
        let uses = try await vault.uses(of: step.idempotencyKey)
        return uses + step.attempt
    }
    print(plain + attempt + input + several.count + attempts)
}

/// Steps with every label, a probe of several statements, and results that are not used.
func steps(_ context: WorkflowContext, vault: VaultClient) async throws {
    let key = try await context.step(
        "issue", id: "a", key: "order 7", input: "db",
        .atMostOnce(
            inDoubt: .probe { service, step in
                let active = try await vault.activeKey(of: service)
                if active.raw == service { return .happened(Key(id: active, summary: "")) }
                if step.attempt > 3 { return .partly("the key exists without its grant") }
                return step.attempt > 2 ? .unknown : .didNotHappen
            }),
        policy: StepPolicy(retry: .limited(to: 3).thenThrow, attemptTimeout: .seconds(5), intent: .always),
        approval: .required(by: .anyone, within: .hours(1)),
        undoing: .atMostOnce(
            inDoubt: .probe { key, _ in
                let active = try await vault.activeKey(of: "db")
                return active == key.id ? .didNotHappen : .happened(())
            })
    ) { service, step in
        let key = try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
        if key.summary.isEmpty { return Key(id: key.id, summary: "none") }
        return key
    } undo: { key, step in
        let id = key.id
        try await vault.revoke(id, idempotencyKey: step.idempotencyKey)
    }
    try await context.step("unused", input: key.id, .idempotent(retention: .forever)) { id, _ in
        "unused \(id.raw)"
    } undo: { _, _ in
    }
    try await context.step("mail", input: key.id, .atMostOnce(inDoubt: .askPerson), irreversible: "a letter is gone") {
        id, step in
        try await vault.activate(id)
        return step.attempt
    }
    let list: [String] = try await context.step(
        "list", input: ["a", "b"], .idempotent(retention: .hours(2)), irreversible: "read"
    ) {
        names, _ in names.map { $0.uppercased() }
    }
    print(list)
}

/// Acts: bodies of one and of several statements, and bodies whose last call has a result that does not matter.
func acts(_ context: WorkflowContext, vault: VaultClient) async throws {
    try await context.act("activate", input: KeyID(raw: "a"), .idempotent(retention: .days(7))) { id, _ in
        try await vault.activate(id)
    } undo: { id, step in
        try await vault.revoke(id, idempotencyKey: step.idempotencyKey)
    }
    try await context.act(
        "switch", id: "b", key: "switch b", input: KeyID(raw: "b"),
        .atMostOnce(
            inDoubt: .probe { id, _ in
                let active = try await vault.activeKey(of: "b")
                return active == id ? .happened(()) : .didNotHappen
            }),
        policy: .retry(.never), approval: .required(by: .role("secops"), within: .minutes(5)),
        undoing: .atMostOnce(inDoubt: .askPerson)
    ) { id, step in
        print(step.step)
        try await vault.activate(id)
    } undo: { _, _ in
    }
    try await context.act("forget", input: "a", .idempotent(retention: .forever), irreversible: "nothing is left") { name, step in
        _ = try await vault.issueKey(for: name, idempotencyKey: step.idempotencyKey)
    }
}

struct IssueKey: Step {
    static let name = "issue-key"
    let vault: VaultClient

    var effect: Effect<String, Key> {
        .atMostOnce(
            inDoubt: .probe { service, _ in .happened(Key(id: try await vault.activeKey(of: service), summary: "")) })
    }
    var policy: StepPolicy { .retry(.limited(to: 4)) }

    func perform(_ service: String, _ step: StepContext) async throws -> Key {
        try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
    }

    func undo(_ key: Key, of service: String, _ step: StepContext) async throws {
        try await vault.revoke(key.id, idempotencyKey: step.idempotencyKey)
    }
}

struct SendLetter: IrreversibleStep {
    struct Input: Codable, Sendable { var to: String; var text: String }
    static let name = "send-letter"
    let reason = "a letter is gone"
    let approval: ApprovalRequirement? = .required(by: .role("clerk"), within: .days(1))
    let effect: Effect<Input, Nothing> = .atMostOnce(inDoubt: .askPerson)

    func perform(_ letter: Input, _ step: StepContext) async throws -> Nothing { Nothing() }
}

func typedSteps(_ context: WorkflowContext, vault: VaultClient) async throws {
    let key = try await context.step(IssueKey(vault: vault), input: "db")
    try await context.step(IssueKey(vault: vault), id: "again", key: "db", input: key.summary)
    try await context.step(SendLetter(), id: key.id.raw, input: .init(to: "a", text: "b"))
}
