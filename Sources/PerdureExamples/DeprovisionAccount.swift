public import Perdure

/// Takes everything from a service account: its token, each of its roles, the account itself.
///
/// What is to be taken is looked up once and recorded, so that a run that was interrupted goes on at the first thing that is left, and an
/// outage makes it late but never makes it pass something over. There is no way back: no error gives access to anybody again.
public struct DeprovisionAccount: Workflow {
    public static let name = "deprovision-account"
    public static let version: WorkflowVersion = "1"
    public static let owner = "identity-platform"

    /// What was taken, in this order.
    public struct Taken: Codable, Hashable, Sendable {
        /// Whether the service had a token.
        public let hadToken: Bool
        /// The roles of all accounts of that name.
        public let roles: [String]
        /// How many accounts there were.
        public let accounts: Int
    }

    let peer: PeerClient
    let policy: StepPolicy

    /// - Parameter policy: How each step is retried.
    public init(peer: PeerClient, policy: StepPolicy = .default) {
        self.peer = peer
        self.policy = policy
    }

    public func run(_ name: String, _ context: WorkflowContext) async throws -> Taken {
        let keys = Retention.days(1)
        let token = try await context.read("token", input: name, policy: policy) { name, step in
            try await peer.activeKey(of: name, step)
        }
        let accounts = try await context.read("accounts", input: name, policy: policy) { name, step in
            try await peer.accounts(named: name, step)
        }
        // The token first: it is what could still be used.
        if let token {
            try await context.act(
                "revoke-token", input: token, .idempotent(retention: keys), policy: policy,
                irreversible: "access is not given back"
            ) { token, step in
                try await peer.revoke(token, step)
            }
        }
        for entry in accounts {
            for role in entry.roles {
                try await context.act(
                    "revoke-role", id: "\(entry.account.id) \(role)", input: Grant(account: entry.account, role: role),
                    .idempotent(retention: keys), policy: policy, irreversible: "access is not given back"
                ) { grant, step in
                    try await peer.revoke(grant.role, from: grant.account, step)
                }
            }
            try await context.act(
                "remove", id: entry.account.id, input: entry.account, .idempotent(retention: keys), policy: policy,
                irreversible: "access is not given back"
            ) { account, step in
                try await peer.remove(account, step)
            }
        }
        try await context.act(
            "report", input: name, .idempotent(retention: keys), policy: policy, irreversible: "the report is out"
        ) { name, step in
            try await peer.mail("deprovisioned", to: "security@example.org", "\(name) has no access any more.", step)
        }
        return Taken(hadToken: token != nil, roles: accounts.flatMap(\.roles), accounts: accounts.count)
    }
}
