import Logging
import Perdure
import PerdureStore

// Staying alive where several nodes share a store.
extension Engine {
    /// Renews the node's lease three times in its length, looks more often for nodes that did not where the store wants it, and claims what
    /// they left behind, until its task is cancelled.
    ///
    /// - Throws: `StoreError` if the lease is lost: others have this node's runs then.
    func keepLease(_ lease: NodeLease) async throws {
        // It has begun with the registration, which may be a while ago.
        var renewal = clock.elapsed + lease.untilRenewal, isCutOff = false
        let look = store.lookPause
        while await pause(min(max(.zero, renewal - clock.elapsed), look ?? lease.length)) {
            // An alarm may ring a little before its time: what is left of it is not waited for in ever smaller parts.
            let begin = clock.elapsed, renews = look == nil || begin + lease.length / 60 >= renewal
            if renews { renewal = begin + lease.length / 3 }
            do throws(StoreError) {
                let ended = renews ? try await store.renew(node) : try await store.endLapsed(besides: node)
                if renews {
                    lease.noteRenewal(since: begin)
                    isCutOff = false
                    // With it the store learns that there are queues now.
                    admissions.bell.ring()
                }
                guard !ended.isEmpty else { continue }
                logger.warning(
                    "other nodes did not renew their leases; their runs are taken over",
                    metadata: ["nodes": "\(ended.map(\.description).joined(separator: ", "))"])
                bell.ring()
            } catch {
                switch error {
                case .unavailable, .awaitsNodes, .outcomeUnknown:
                    // As soon as the store is back, before others take the silence for death.
                    if renews { renewal = begin + min(look ?? lease.length / 3, lease.length / 3) }
                    // That others could not be looked at, the next renewal says if it is still so; and nobody waits for a keeper, so that
                    // once is enough for it.
                    guard renews, !isCutOff else { continue }
                    isCutOff = configuration.duty == .keeper
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
