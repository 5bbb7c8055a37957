public import Perdure

/// What is to be rotated, and under which change request.
public struct Rotation: Codable, Hashable, Sendable {
    /// The change request, shown to whoever approves.
    public let change: String
    /// The services that get new keys, in this order.
    public let services: [String]

    /// A rotation of these services.
    public init(change: String, services: [String]) {
        self.change = change
        self.services = services
    }
}

/// Gives several services new keys, with one approval for the whole plan.
///
/// Keys are issued first, because an issued key that nobody uses can be taken back. Then a person approves the announcement, which
/// names every service and every new key; a denial revokes them all. After it, service by service is switched. Whatever crashes or
/// fails, the rotation goes on at the first service that is not done.
public struct RotateSecrets: Workflow {
    public static let name = "rotate-secrets"
    public static let version: WorkflowVersion = "1"
    public static let owner = "secops"

    /// A service and the key it is going to use.
    public struct Switch: Codable, Hashable, Sendable {
        /// The service.
        public let service: String
        /// Its new key.
        public let key: VaultKey
    }

    /// What the approver sees.
    struct Plan: Codable, Hashable, Sendable {
        let change: String
        let switches: [Switch]
    }

    let peer: PeerClient
    let policy: StepPolicy

    /// - Parameter policy: How each step is retried.
    public init(peer: PeerClient, policy: StepPolicy = .default) {
        self.peer = peer
        self.policy = policy
    }

    public func run(_ rotation: Rotation, _ context: WorkflowContext) async throws -> [Switch] {
        var switches: [Switch] = []
        for service in rotation.services {
            let key = try await context.step(
                "issue-key", id: service, input: service, .idempotent(retention: .days(1)), policy: policy
            ) { service, step in
                try await peer.issueKey(for: service, step)
            } undo: { key, step in
                try await peer.revoke(key, step)
            }
            switches.append(Switch(service: service, key: key))
        }
        try await context.act(
            "announce", input: Plan(change: rotation.change, switches: switches), .idempotent(retention: .days(1)),
            policy: policy,
            approval: .required(by: .role("secops"), within: .days(3)), irreversible: "the announcement is out"
        ) { plan, step in
            let services = plan.switches.map(\.service).joined(separator: ", ")
            try await peer.mail("rotation", to: "owners@example.org", "\(plan.change): \(services)", step)
        }
        for item in switches {
            try await context.act(
                "switch", id: item.service, input: item,
                .atMostOnce(
                    inDoubt: .probe { item, step in
                        try await peer.activeKey(of: item.service, step) == item.key ? .happened(()) : .didNotHappen
                    }), policy: policy, irreversible: "the old key stops working"
            ) { item, step in
                try await peer.activate(item.key, for: item.service, step)
            }
        }
        return switches
    }
}
