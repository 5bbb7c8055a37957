public import Perdure

/// A service account that is to exist.
public struct ServiceAccount: Codable, Hashable, Sendable {
    /// The service that gets it.
    public let name: String
    /// What it may do.
    public let roles: [String]

    /// A service account with these roles.
    public init(name: String, roles: [String]) {
        self.name = name
        self.roles = roles
    }
}

/// Creates a service account, grants its roles, and issues and stores its token.
///
/// While the directory is down the run is late and nothing else. If the directory refuses something for good, what is there already is
/// taken back, in reverse order: there is either the whole account or none.
public struct ProvisionAccount: Workflow {
    public static let name = "provision-account"
    public static let version: WorkflowVersion = "1"
    public static let owner = "identity-platform"

    /// What there is in the end.
    public struct Provisioned: Codable, Hashable, Sendable {
        /// The account in the directory.
        public let account: Account
        /// Its token in the vault.
        public let token: VaultKey
    }

    let peer: PeerClient
    let policy: StepPolicy

    /// - Parameter policy: How each step is retried.
    public init(peer: PeerClient, policy: StepPolicy = .default) {
        self.peer = peer
        self.policy = policy
    }

    public func run(_ wanted: ServiceAccount, _ context: WorkflowContext) async throws -> Provisioned {
        let keys = Retention.days(1)
        let account = try await context.step("create", input: wanted.name, .idempotent(retention: keys), policy: policy) {
            name, step in
            try await peer.createAccount(name, step)
        } undo: { account, step in
            try await peer.remove(account, step)
        }
        for role in wanted.roles {
            try await context.act(
                "grant", id: role, input: Grant(account: account, role: role), .idempotent(retention: keys), policy: policy,
                irreversible: "it goes with the account"
            ) { grant, step in
                try await peer.grant(grant.role, to: grant.account, step)
            }
        }
        let token = try await context.step("issue-token", input: wanted.name, .idempotent(retention: keys), policy: policy) {
            name, step in
            try await peer.issueKey(for: name, step)
        } undo: { token, step in
            try await peer.revoke(token, step)
        }
        try await context.act(
            "store-token", input: token, .idempotent(retention: keys), policy: policy, irreversible: "it goes with the token"
        ) { token, step in
            try await peer.activate(token, for: wanted.name, step)
        }
        return Provisioned(account: account, token: token)
    }
}

/// A role of an account, as a step takes it.
struct Grant: Codable, Hashable, Sendable {
    let account: Account
    let role: String
}
