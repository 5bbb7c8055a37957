public import Perdure

/// Something that has to be looked into, and stopped meanwhile.
public struct Incident: Codable, Hashable, Sendable {
    /// The number of the alarm.
    public let number: String
    /// The service that it is about.
    public let service: String

    /// An incident.
    public init(number: String, service: String) {
        self.number = number
        self.service = service
    }
}

/// Gathers evidence from several systems at once, cuts the service off, once, and tells who is on call what was found.
///
/// A system that does not answer in time is named as missing and holds nothing up. The network that cuts the service off knows no
/// idempotency keys, but can be asked: it is told at most once.
public struct RespondToIncident: Workflow {
    public static let name = "respond-to-incident"
    public static let version: WorkflowVersion = "1"
    public static let owner = "incident-response"

    /// What was found, and what could not be.
    public struct Report: Codable, Hashable, Sendable {
        /// By the name of the system.
        public var found: [String: String] = [:]
        /// Systems that did not answer in time, by name.
        public var missing: [String] = []
    }

    let peer: PeerClient
    let network: PeerClient
    let policy: StepPolicy
    let patience: Duration

    /// - Parameters:
    ///   - network: Where services are cut off.
    ///   - policy: How steps are retried that have to come to their end.
    ///   - patience: How long a system may take to say what it knows.
    public init(peer: PeerClient, network: PeerClient, policy: StepPolicy = .default, patience: Duration = .minutes(2)) {
        self.peer = peer
        self.network = network
        self.policy = policy
        self.patience = patience
    }

    public func run(_ incident: Incident, _ context: WorkflowContext) async throws -> Report {
        let report = try await evidence(of: incident.service, context)
        let entry = "cut off \(incident.service)"
        try await context.act(
            "quarantine", input: entry,
            .atMostOnce(
                inDoubt: .probe { entry, step in
                    try await network.accounts(named: entry, step).isEmpty ? .didNotHappen : .happened(())
                }), policy: policy, irreversible: "only a person connects it again"
        ) { entry, step in
            _ = try await network.createAccount(entry, step)
        }
        for person in ["oncall@example.org", "security@example.org"] {
            try await context.act(
                "notify", id: person, input: report, .idempotent(retention: .days(1)), policy: policy,
                irreversible: "the message is out"
            ) { report, step in
                let missing = report.missing.isEmpty ? "" : " No answer from \(report.missing.joined(separator: ", "))."
                try await peer.mail("incident", to: person, "\(incident.number): \(incident.service) is cut off.\(missing)", step)
            }
        }
        return report
    }

    /// Asks every system at once. Each has its own time, so one that hangs takes nothing from the others.
    private func evidence(of service: String, _ context: WorkflowContext) async throws -> Report {
        async let key = ask("active key", context) { step in try await peer.activeKey(of: service, step)?.id ?? "none" }
        async let charges = ask("charges", context) { step in
            String(try await peer.charges(of: Order(number: service, cents: 0), step).count)
        }
        async let accounts = ask("accounts", context) { step in
            String(try await peer.accounts(named: service, step).count)
        }
        var report = Report()
        for (system, answer) in [("active key", try await key), ("charges", try await charges), ("accounts", try await accounts)]
        {
            if let answer { report.found[system] = answer } else { report.missing.append(system) }
        }
        return report
    }

    private func ask(
        _ system: String, _ context: WorkflowContext, _ look: @escaping @Sendable (StepContext) async throws -> String
    ) async throws -> String? {
        do {
            return try await context.timeout(patience, name: system) {
                try await context.read(system, input: system, policy: policy) { _, step in try await look(step) }
            }
        } catch let failure as StepFailure where failure.code == StepFailure.timedOut {
            return nil
        }
    }
}
