import Perdure
import PerdureHistory
import PerdureStore

// One tenant's view of a store.
extension Client {
    /// The same client for one namespace: nothing of another one is there for it. An id of a run elsewhere is `run_unknown`, as one is that
    /// was never given, whatever is asked of it or sent to it; lists and counts have only what belongs to the namespace, and where a call
    /// takes a namespace this one is its default. It cannot change quotas or retention, which an operator sets.
    ///
    /// It confines a program to what it means, not somebody who can open the store.
    ///
    /// - Throws: `PerdureError` with `name_invalid`, or `usage` if this client is confined to another one.
    public func confined(to namespace: String) throws -> Client {
        if namespace == self.namespace { return self }
        try Self.require(namespace: namespace)
        guard self.namespace == nil else { throw confinement("be confined to '\(namespace)'") }
        return Client(
            store: store, namespace: namespace, waiters: waiters, random: random, build: build, onQueueChange: onQueueChange,
            deliver: deliver)
    }

    static func require(namespace: String) throws {
        guard Name.isIdentifier(namespace) else {
            throw PerdureError(
                .nameInvalid,
                "'\(namespace.prefix(200))' cannot be a namespace: use 1 to 128 letters, digits, '-', '_' and '.'.")
        }
    }

    /// The namespace that is meant where none is named.
    var ownNamespace: String { namespace ?? "default" }

    /// Before something is made in a namespace.
    ///
    /// - Throws: `PerdureError` with `usage` if this client is confined to another one.
    func requireOwn(_ other: String) throws {
        guard namespace == nil || namespace == other else { throw confinement("make anything in namespace '\(other)'") }
    }

    /// - Throws: `PerdureError` with `usage` if this client is confined.
    func requireOperator(_ wish: String) throws {
        if namespace != nil { throw confinement(wish) }
    }

    private func confinement(_ wish: String) -> PerdureError {
        PerdureError(.usage, "This client is confined to namespace '\(namespace ?? "")' and cannot \(wish).")
    }
}
