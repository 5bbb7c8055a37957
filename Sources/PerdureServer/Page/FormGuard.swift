internal import Crypto
internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureHistory

/// Marks forms as our own, so that a page of another site cannot have somebody's browser send one.
struct FormGuard: Sendable {
    private let key: SymmetricKey

    /// - Parameter secret: The same after a restart, so that a form that was open meanwhile is still one of ours; nil for one of this
    ///   process alone.
    init(secret: [UInt8]?) { key = secret.map { SymmetricKey(data: $0) } ?? SymmetricKey(size: .bits256) }

    /// What forms for this caller carry.
    func mark(for caller: Caller) -> String {
        Hex.encode(Array(HMAC<SHA256>.authenticationCode(for: Data(caller.principal.id.utf8), using: key(of: caller))))
    }

    /// Whoever is signed in has a key of his own, which every process knows.
    private func key(of caller: Caller) -> SymmetricKey { caller.formKey.map { SymmetricKey(data: $0) } ?? key }

    /// - Throws: `Problem` with 403.
    func check(_ mark: String?, of caller: Caller) throws(Problem) {
        let bytes = mark.flatMap(Hex.decode) ?? []
        let person = Data(caller.principal.id.utf8)
        guard HMAC<SHA256>.isValidAuthenticationCode(bytes, authenticating: person, using: key(of: caller)) else {
            throw Problem(
                .forbidden, "form_outdated",
                "This form was made for somebody else, or by another server, and is not carried out. Look whether it was before."
            )
        }
    }
}
