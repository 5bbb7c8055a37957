internal import Logging
internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// Looks on every new link whether it leads to the store, and whether its history went back, which it writes down then.
struct LossWatch: Sendable {
    let address: ServerAddress
    let recollection: Recollection
    let time: @Sendable () -> Timestamp?
    let logger: Logger

    /// - Throws: `StoreError` if it leads elsewhere, or history went back. Everything that this process knows of its runs may be ahead of
    ///   the store then.
    func look(_ session: Session) throws {
        let known = recollection.known
        if let identity = known.identity { try demand(identity, session) }
        // What this process has written down it does not write down again: whoever recovers would have to begin anew.
        if let noticed = known.noticed, let isLifted = try session.first(Self.isLifted, noticed, row: { try $0.bool(0) }) {
            throw isLifted ? StoreError.leaseLost : StoreError.historyWentBack
        }
        let losses = try recollection.losses(of: known, on: session)
        if losses.isEmpty { return }
        let node = known.node?.rawValue ?? "a process that is no node"
        let noticed = try session.untilNotOvertaken {
            try session.transaction { () -> (number: Int64, reason: String)? in
                let lifted = try session.first(Self.lastLifted) { try $0.integer(0) } ?? 0
                // What was lost before that was marked then.
                guard let loss = losses.first(where: { $0.lifted >= lifted }) else { return nil }
                return (try session.beginRestoration(by: node, reason: loss.reason, time()).number, loss.reason)
            }
        }
        guard let noticed else { throw StoreError.leaseLost }
        if recollection.note(noticed: noticed.number) {
            logger.critical("the store's history went back", metadata: ["node": "\(node)", "missing": "\(noticed.reason)"])
        }
        throw StoreError.historyWentBack
    }

    private func demand(_ identity: String, _ session: Session) throws {
        guard try Migration.foundIdentity(session) != identity else { return }
        throw StoreError.unusable(
            .storeNotOurs,
            "\(address) leads to another store than the one that this process has opened. Nothing is done there; have the address lead to the first one again."
        )
    }

    private static let isLifted = SQL("SELECT lifted_at IS NOT NULL FROM perdure.restorations WHERE number = $1::bigint")
    private static let lastLifted = SQL(
        "SELECT coalesce(max(number), 0) FROM perdure.restorations WHERE lifted_at IS NOT NULL")
}

extension StoreError {
    static let historyWentBack = StoreError.unusable(
        .storeRestored,
        "The store's history went back: commits are lost. Nothing is begun until `perdure recover --restored` has put in doubt what may be "
            + "lost; then start again.")
}
