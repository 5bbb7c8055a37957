/// Who may decide or answer.
public struct Approver: Sendable, Hashable, CustomStringConvertible {
    /// `role:NAME` or `anyone`, as history records it.
    public let description: String
    /// Anyone who holds this role in the namespace. Recorded and shown; checked once the installation knows roles.
    public static func role(_ name: String) -> Approver { Approver(description: "role:\(name)") }
    /// Anyone; but whoever started the run cannot approve its actions, whatever is declared. Denying and answering are open to them too.
    public static let anyone = Approver(description: "anyone")
}

/// An approval that an action needs: the call is frozen, shown to a person, and the decision is consumed in the commit that
/// releases the action.
public struct ApprovalRequirement: Sendable, Hashable {
    package let approver: Approver
    package let within: Duration

    /// Requires a decision within the time given, counted from the commit of the request; less than 1 ms counts as 1 ms. Nobody
    /// deciding is a denial.
    public static func required(by approver: Approver, within: Duration) -> ApprovalRequirement {
        ApprovalRequirement(approver: approver, within: max(within, .milliseconds(1)))
    }
}
