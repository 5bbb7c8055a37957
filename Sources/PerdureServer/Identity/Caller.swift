internal import HTTPTypes
internal import Perdure

/// Who asks, and what they may.
struct Caller: Sendable {
    let principal: Principal
    let rights: Rights
    /// What forms of the page are marked with, if the caller is signed in; known to nobody else.
    var formKey: [UInt8]?
    /// Whether it is a person at the page, who can sign out.
    var isSignedIn: Bool { formKey != nil }

    static let nobody = Caller(principal: Principal(.human, "", authentication: ""), rights: Rights([:]))

    /// - Throws: `Problem` with 403.
    func require(_ right: Right, in namespace: String?) throws(Problem) {
        guard rights.allow(right, in: namespace) else {
            let place = namespace.map { " in namespace '\($0)'" } ?? " for what belongs to no namespace"
            throw Problem(
                .forbidden, "right_missing",
                "'\(principal.id)' may not do this: it takes the right to \(right.rawValue)\(place). Whoever administers it gives rights."
            )
        }
    }
}
