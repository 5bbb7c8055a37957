package import Perdure

/// Why the store did not do what was asked. The engine branches on the case; people read the message.
package enum StoreError: Error, Sendable, CustomStringConvertible {
    /// Nothing was changed; it can be asked again: busy, disk full, input/output error.
    case unavailable(String)
    /// Nothing was changed; it can be asked again once these nodes have looked whether the store has all that they were told is durable, or
    /// have ended.
    case awaitsNodes([NodeID])
    /// It is not known whether the change happened: repeat the same call.
    case outcomeUnknown(String)
    /// The data cannot be trusted or read.
    case corrupt(String)
    /// A later release has written it, and only such a one can read it.
    case unsupported(String)
    /// The store cannot be used at all, with the code that says why (locked, not ours, too new, read-only, missing).
    case unusable(PerdureError.Code, String)
    /// This node did not renew its lease in time and counts as dead: other nodes have its runs.
    case leaseLost
    /// The store was closed by this process.
    case closed

    package var description: String {
        switch self {
        case .unavailable(let message): "the store is unavailable: \(message)"
        case .awaitsNodes(let nodes): "the store is unavailable: \(Self.awaiting(nodes))"
        case .outcomeUnknown(let message): "the outcome is unknown: \(message)"
        case .corrupt(let message): "the store is corrupt: \(message)"
        case .unsupported(let message): "a later release wrote it: \(message)"
        case .unusable(let code, let message): "\(code): \(message)"
        case .leaseLost: "the lease of this node was lost"
        case .closed: "the store is closed"
        }
    }

    private static func awaiting(_ nodes: [NodeID]) -> String {
        "the server has started or changed, and these nodes have not looked yet whether it has all of their commits: "
            + nodes.map(\.description).joined(separator: ", ")
    }

    /// The same as the public error that callers of the engine get.
    package var publicError: PerdureError {
        switch self {
        case .unavailable(let message): PerdureError(.storeUnavailable, message)
        case .outcomeUnknown(let message): PerdureError(.storeUnavailable, message, mayHaveHappened: true)
        case .awaitsNodes(let nodes): PerdureError(.storeUnavailable, Self.awaiting(nodes))
        case .corrupt(let message): PerdureError(.storeCorrupt, message)
        case .unsupported(let message):
            PerdureError(.storeTooNew, "A later release wrote what stands there: \(message). Use that release, or a later one.")
        case .unusable(let code, let message): PerdureError(code, message)
        case .leaseLost:
            PerdureError(
                .engineStopped, "This node did not renew its lease in time, and others have taken its runs over. Start again.")
        case .closed: PerdureError(.engineStopped, "The store was closed; open it again.")
        }
    }
}
