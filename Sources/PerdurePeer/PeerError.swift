/// Why a peer could not be started.
package enum PeerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The peer does whatever it is asked by whoever reaches it, so it listens on a loopback address only.
    case notLoopback(host: String)
    /// The port is outside 0...65535.
    case badPort(Int)
    /// The ledger was written by a newer peer.
    case ledgerFromTheFuture(version: Int)

    package var description: String {
        switch self {
        case .notLoopback(let host): "the peer listens on 127.0.0.1, ::1 or localhost only, not on \"\(host)\""
        case .badPort(let port): "a port is from 0 (any free one) to 65535, not \(port)"
        case .ledgerFromTheFuture(let version): "the ledger has format \(version), which is newer than this peer"
        }
    }
}
