public import Perdure

/// Which systems are to be moved, and under which change request.
public struct Move: Codable, Hashable, Sendable {
    /// The change request, shown to whoever approves.
    public let change: String
    /// The systems, in this order.
    public let systems: [String]

    /// A move of these systems.
    public init(change: String, systems: [String]) {
        self.change = change
        self.systems = systems
    }
}

/// Moves many systems to another directory, one a day, between two approvals: three weeks of work for nobody.
///
/// The run waits for days without needing anything, is late by as much as an outage takes, and does not mind that the program is
/// replaced meanwhile.
public struct MoveSystems: Workflow {
    public static let name = "move-systems"
    public static let version: WorkflowVersion = "1"
    public static let owner = "identity-platform"

    let peer: PeerClient
    let policy: StepPolicy

    /// - Parameter policy: How each step is retried.
    public init(peer: PeerClient, policy: StepPolicy = .default) {
        self.peer = peer
        self.policy = policy
    }

    public func run(_ move: Move, _ context: WorkflowContext) async throws -> [Account] {
        let keys = Retention.forever
        try await context.act(
            "announce", input: move, .idempotent(retention: keys), policy: policy,
            approval: .required(by: .role("change-board"), within: .days(7)), irreversible: "the announcement is out"
        ) { move, step in
            try await peer.mail("move", to: "owners@example.org", "\(move.change) begins.", step)
        }
        var accounts: [Account] = []
        for system in move.systems {
            let account = try await context.step(
                "create", id: system, input: system, .idempotent(retention: keys), policy: policy
            ) {
                system, step in
                try await peer.createAccount(system, step)
            } undo: { account, step in
                try await peer.remove(account, step)
            }
            try await context.act(
                "grant", id: system, input: account, .idempotent(retention: keys), policy: policy,
                irreversible: "it goes with the account"
            ) { account, step in
                try await peer.grant("member", to: account, step)
            }
            accounts.append(account)
            try await context.report("\(accounts.count) of \(move.systems.count) systems are there", id: system)
            try await context.sleep(for: .days(1), name: "soak", id: system)
        }
        try await context.act(
            "cut-over", input: move, .idempotent(retention: keys), policy: policy,
            approval: .required(by: .role("change-board"), within: .days(7)), irreversible: "the old directory is read no more"
        ) { move, step in
            try await peer.mail("cut-over", to: "owners@example.org", "\(move.change): the old directory is read no more.", step)
        }
        try await context.sleep(for: .days(3), name: "aftercare")
        try await context.act(
            "close", input: move.change, .idempotent(retention: keys), policy: policy, irreversible: "the report is out"
        ) { change, step in
            try await peer.mail("moved", to: "owners@example.org", "\(change) is done.", step)
        }
        return accounts
    }
}
