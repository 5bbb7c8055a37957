internal import Perdure
internal import PerdureCommands
internal import PerdureHistory
internal import PerdureStore

/// An address where another system says something to runs, and what it may say.
struct ReceivingHook: HookRecord {
    static let kind = "hooks"
    /// How many there may be in a namespace.
    static let most = 50
    /// How many people may have had to do with one.
    static let mostStewards = 50

    let namespace: String
    let id: String
    /// Who it acts as.
    let principal: String
    /// The signals it may send, to runs of which workflows.
    var signals: (names: [String], workflows: [String])?
    /// The workflows whose approvals it may decide, and the roles of those who are asked that it stands for.
    var approvals: (workflows: [String], roles: [String])?
    var secrets: HookSecrets
    let made: Timestamp
    /// Everybody who was shown a secret of it or has said what it may do, whoever made it first. It decides nothing that any of them has
    /// started: they could have signed the decision.
    private(set) var stewards: [Principal]

    init(
        namespace: String, id: String, principal: String, signals: (names: [String], workflows: [String])?,
        approvals: (workflows: [String], roles: [String])?,
        secrets: HookSecrets, made: Timestamp, stewards: [Principal]
    ) {
        self.namespace = namespace
        self.id = id
        self.principal = principal
        self.signals = signals
        self.approvals = approvals
        self.secrets = secrets
        self.made = made
        self.stewards = stewards
    }

    static func key(_ namespace: String, _ id: String) -> ControlKey { ControlKey(kind, "\(namespace)/\(id)") }
    var key: ControlKey { Self.key(namespace, id) }
    var due: Timestamp? { nil }

    /// As history names whoever acts through it.
    /// What it says everybody may have said who has had its secret: they are recorded with it.
    var actor: Principal {
        let lineage = ([principal] + stewards.map(\.lineage)).joined(separator: Principal.issued)
        return Principal(.workload, "hook:\(principal)", authentication: "webhook:\(id)", issuedBy: lineage)
    }

    func maySignal(_ name: String, _ workflow: String) -> Bool {
        signals.map { $0.names.contains(name) && $0.workflows.contains(workflow) } ?? false
    }

    func mayDecide(for workflow: String) -> Bool { approvals?.workflows.contains(workflow) ?? false }

    /// - Parameter approver: As history names who is asked: `anyone` or `role:NAME`.
    func mayDecide(as approver: String) -> Bool {
        approver == Approver.anyone.description
            || approvals?.roles.contains { Approver.role($0).description == approver } ?? false
    }

    /// Whether somebody who can act through it started what it would decide on.
    func isOf(_ starter: Principal) -> Bool { starter.mayBe(actor) }

    /// - Returns: False if there are too many already.
    mutating func noteSteward(_ person: Principal) -> Bool {
        if stewards.contains(where: { $0.kind == person.kind && $0.id == person.id && $0.authentication == person.authentication }
        ) {
            return true
        }
        guard stewards.count < Self.mostStewards else { return false }
        stewards.append(person)
        return true
    }

    // MARK: As the store keeps it

    var json: JSONValue {
        func list(_ texts: [String]) -> JSONValue { .array(texts.map(JSONValue.string)) }
        return .members(
            ("namespace", .string(namespace)), ("id", .string(id)), ("principal", .string(principal)),
            ("signals", signals.map { ["names": list($0.names), "workflows": list($0.workflows)] }),
            ("approvals", approvals.map { ["workflows": list($0.workflows), "roles": list($0.roles)] }),
            ("secrets", secrets.json), ("made", .integer(made.microseconds)),
            ("stewards", .array(stewards.map(\.hookJSON))))
    }

    init?(_ json: JSONValue) {
        func texts(_ json: JSONValue?) -> [String]? { json?.arrayValue?.compactMap(\.stringValue) }
        guard let namespace = json["namespace"]?.stringValue, let id = json["id"]?.stringValue,
            let principal = json["principal"]?.stringValue, let secrets = HookSecrets(json["secrets"]),
            let made = json["made"]?.integerValue
        else { return nil }
        let people = json["stewards"]?.arrayValue ?? []
        let stewards = people.compactMap { Principal(hookJSON: $0) }
        // One that cannot be read might be the one who started a run.
        guard !stewards.isEmpty, stewards.count == people.count else { return nil }
        self.init(
            namespace: namespace, id: id, principal: principal,
            signals: texts(json["signals"]?["names"]).map { ($0, texts(json["signals"]?["workflows"]) ?? []) },
            approvals: texts(json["approvals"]?["workflows"]).map { ($0, texts(json["approvals"]?["roles"]) ?? []) },
            secrets: secrets, made: Timestamp(microseconds: made), stewards: stewards)
    }

    /// As it is shown: without its secret.
    var shown: JSONValue {
        func list(_ texts: [String]) -> JSONValue { .array(texts.map(JSONValue.string)) }
        return .members(
            ("id", .string(id)), ("principal", .string(principal)),
            ("signals", signals.map { ["names": list($0.names), "workflows": list($0.workflows)] }),
            ("approvals", approvals.map { ["workflows": list($0.workflows), "roles": list($0.roles)] }),
            ("rotated_at", secrets.rotatedAt.map(JSONValue.init(time:))), ("made_at", JSONValue(time: made)),
            ("stewards", .array(stewards.map { .string($0.id) })))
    }
}
