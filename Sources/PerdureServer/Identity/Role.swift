/// Who may ask for an operation.
enum Right: String, Sendable, Hashable, CaseIterable {
    /// Everybody, without saying who: only what shows nothing of any run.
    case none
    /// Everybody who says who they are.
    case known
    case view
    case start
    case operate
    case approve
    case audit
    case administer
}

/// What somebody is in a namespace.
enum Role: Sendable, Hashable, CustomStringConvertible {
    case viewer
    case starter
    case `operator`
    /// Decides on what anyone may decide on; with a name also on what asks for that role.
    case approver(of: String?)
    case auditor
    case admin

    /// The one table that says what roles may. An admin does not decide on approvals: who does is named for it.
    var rights: Set<Right> {
        switch self {
        case .viewer: [.view]
        case .starter: [.view, .start]
        case .operator: [.view, .start, .operate]
        case .approver: [.view, .approve]
        case .auditor: [.view, .audit]
        case .admin: [.view, .start, .operate, .audit, .administer]
        }
    }

    init?(_ text: String) {
        switch text {
        case "viewer": self = .viewer
        case "starter": self = .starter
        case "operator": self = .operator
        case "approver": self = .approver(of: nil)
        case "auditor": self = .auditor
        case "admin": self = .admin
        case let text where text.hasPrefix(Self.approverOf):
            let name = String(text.dropFirst(Self.approverOf.count))
            guard TextRule.key.fits(name) else { return nil }
            self = .approver(of: name)
        default: return nil
        }
    }

    var description: String {
        switch self {
        case .viewer: "viewer"
        case .starter: "starter"
        case .operator: "operator"
        case .approver(nil): "approver"
        case .approver(let name?): Self.approverOf + name
        case .auditor: "auditor"
        case .admin: "admin"
        }
    }

    private static let approverOf = "approver:"
}

/// What somebody may, namespace by namespace.
struct Rights: Sendable, Hashable {
    /// Stands for every namespace, and for what belongs to none.
    static let everywhere = "*"
    /// Of whoever sits at this machine, in `perdure dev`.
    static let unlimited = Rights([:], isUnlimited: true)

    /// By namespace.
    private(set) var roles: [String: Set<Role>]
    private let isUnlimited: Bool

    init(_ roles: [String: Set<Role>]) { self.init(roles, isUnlimited: false) }

    private init(_ roles: [String: Set<Role>], isUnlimited: Bool) {
        self.roles = roles
        self.isUnlimited = isUnlimited
    }

    mutating func add(_ more: Set<Role>, in namespace: String) { roles[namespace, default: []].formUnion(more) }

    /// - Parameter namespace: nil for what belongs to no namespace.
    func allow(_ right: Right, in namespace: String?) -> Bool {
        isUnlimited || right == .none || right == .known || held(in: namespace).contains { $0.rights.contains(right) }
    }

    /// - Parameter approver: As history records who may decide: `anyone` or `role:NAME`.
    func mayDecide(_ approver: String, in namespace: String) -> Bool {
        if isUnlimited { return true }
        let held = held(in: namespace)
        guard approver != "anyone" else { return held.contains { $0.rights.contains(.approve) } }
        return held.contains { if case .approver(let name?) = $0 { "role:\(name)" == approver } else { false } }
    }

    /// Nobody gives what they do not have.
    func mayGive(_ role: Role, in namespace: String) -> Bool {
        if isUnlimited { return true }
        if case .approver(let name) = role { return mayDecide(name.map { "role:\($0)" } ?? "anyone", in: namespace) }
        return role.rights.allSatisfy { allow($0, in: namespace) }
    }

    /// Those that are named and may be seen; nil for all there are.
    var visibleNamespaces: [String]? {
        if allow(.view, in: nil) { return nil }
        return roles.keys.filter { allow(.view, in: $0) }.sorted()
    }

    private func held(in namespace: String?) -> Set<Role> {
        (roles[Self.everywhere] ?? []).union(namespace.flatMap { roles[$0] } ?? [])
    }
}
