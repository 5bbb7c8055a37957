internal import Crypto
internal import Foundation
internal import HTTPTypes
internal import PerdureHistory

/// Marks forms as our own, so that a page of another site cannot have somebody's browser send one.
struct FormGuard: Sendable {
    /// Made with the process: forms from before it have to be looked at again.
    private let key = SymmetricKey(size: .bits256)

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
                "This form is from before the server started, or for somebody else. Nothing was done: open the page again and repeat it."
            )
        }
    }
}
