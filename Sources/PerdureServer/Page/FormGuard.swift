internal import Crypto
internal import Foundation
internal import HTTPTypes
internal import PerdureHistory

/// Marks forms as our own, so that a page of another site cannot have somebody's browser send one.
struct FormGuard: Sendable {
    private let key: SymmetricKey

    /// - Parameter secret: The same after a restart, so that a form that was open meanwhile is still one of ours; nil for one of this
    ///   process alone.
    init(secret: [UInt8]?) { key = secret.map { SymmetricKey(data: $0) } ?? SymmetricKey(size: .bits256) }

    /// What forms for this person carry.
    func mark(for person: String) -> String {
        Hex.encode(Array(HMAC<SHA256>.authenticationCode(for: Data(person.utf8), using: key)))
    }

    /// - Throws: `Problem` with 403.
    func check(_ mark: String?, of person: String) throws(Problem) {
        let bytes = mark.flatMap(Hex.decode) ?? []
        guard HMAC<SHA256>.isValidAuthenticationCode(bytes, authenticating: Data(person.utf8), using: key) else {
            throw Problem(
                .forbidden, "form_outdated",
                "This form was made for somebody else, or by another server, and is not carried out. Look whether it was before."
            )
        }
    }
}
