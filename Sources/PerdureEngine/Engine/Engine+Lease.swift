import Logging
import Perdure
import PerdureStore

// Staying alive where several nodes share a store.
extension Engine {
    /// Renews the node's lease three times in its length, and claims what nodes that did not have left behind, until its task is cancelled.
    ///
    /// - Throws: `StoreError` if the lease is lost: others have this node's runs then.
    func keepLease(_ lease: NodeLease) async throws {
        // It has begun with the registration, which may be a while ago.
        var rest = lease.untilRenewal
        while await pause(rest) {
            rest = lease.length / 3
            let begin = clock.elapsed
            do throws(StoreError) {
                let ended = try await store.renew(node)
                lease.noteRenewal(since: begin)
                // With it the store learns that there are queues now.
                admissions.bell.ring()
                guard !ended.isEmpty else { continue }
                logger.warning(
                    "other nodes did not renew their leases; their runs are taken over",
                    metadata: ["nodes": "\(ended.map(\.description).joined(separator: ", "))"])
                bell.ring()
            } catch {
                switch error {
                case .unavailable, .outcomeUnknown:
                    logger.warning("the lease of this node could not be renewed", metadata: ["error": "\(error)"])
                case .corrupt, .unsupported, .unusable, .leaseLost, .closed:
                    logger.critical("this node has lost its lease; it ends", metadata: ["node": "\(node)", "error": "\(error)"])
                    lease.lose()
                    throw error
                }
            }
        }
    }
}
