import Perdure

struct Ship: Workflow {
    struct Order: Codable, Sendable { var item: String }
    static let name = "ship"
    static let version: WorkflowVersion = "1"
    func run(_ order: Order, _ context: WorkflowContext) async throws -> String { order.item }
}

/// Children with an undo and without one, side by side, abandoned and on their own.
func children(_ context: WorkflowContext, vault: VaultClient, items: [String]) async throws -> [String] {
    let parcel = try await context.child(Ship.self, input: Ship.Order(item: "book")) { parcel, step in
        try await vault.revoke(KeyID(raw: parcel), idempotencyKey: step.idempotencyKey)
    }
    try await context.child(
        Ship.self, id: "probe", input: Ship.Order(item: parcel), undoing: .atMostOnce(inDoubt: .askPerson),
        undo: { parcel, step in try await vault.revoke(KeyID(raw: parcel), idempotencyKey: step.idempotencyKey) })
    async let left = context.child(Ship.self, id: "left", input: Ship.Order(item: "left"), irreversible: "it has left")
    async let right = context.child(
        Ship.self, id: "right", input: Ship.Order(item: "right"), policy: .abandon, irreversible: "it has left")
    let run: RunID = try await context.startChild(Ship.self, id: "own", input: Ship.Order(item: "own"), irreversible: "why")
    let both = try await [left, right, run.description]
    return try await both
        + withThrowingTaskGroup(of: String.self) { group in
            for item in items {
                group.addTask {
                    try await context.child(Ship.self, id: item, input: Ship.Order(item: item), irreversible: "it has left")
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
}
