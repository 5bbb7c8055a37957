internal import Foundation
internal import Logging
internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    /// Opens the store, or says in a sentence why it cannot be used. An engine makes what is not there.
    package static func open(
        _ url: String, role: StoreConfiguration.Role, options: PostgresOptions
    ) async throws(StoreError) -> PostgresStore {
        let address = try ServerAddress(url), clock = ServerClock()
        var limits = ConnectionOptions()
        limits.answerLimit = options.answerLimit
        let watch = LossWatch(
            address: address, recollection: Recollection(leaseLength: options.leaseLength) { options.here },
            time: { options.clock?() }, logger: options.logger)
        let writer = connection(address, "writer", limits, watch, settings: writing)
        limits.isProven = true
        do {
            let identity = try await writer.perform { session in
                switch role {
                case .engine:
                    try Migration.run(session, address)
                    try RightsCheck.demandAll(session, address)
                case .client: try Migration.checkIsCurrent(session, address)
                }
                try clock.read(session)
                let identity = try Migration.identity(session, address)
                watch.recollection.become(storeOf: identity)
                return identity
            }
            let leases = connection(address, "leases", limits, watch, settings: writing), logger = options.logger
            try await PoolerCheck.demandOwnSessions(writer, leases)
            let bell = try Bell(address, options: limits, interval: options.bellInterval) { error in
                if let error {
                    logger.warning("other nodes cannot be heard for now: \(error)")
                } else {
                    logger.info("other nodes can be heard again")
                }
            }
            return PostgresStore(
                identity: identity, address: address, options: options, isEngine: role == .engine, writer: writer,
                leases: leases,
                transactors: Transactors(
                    (1...options.transactors).map { number in
                        Connection(
                            address, label: "perdure.postgres.steps.\(number)", options: limits
                        ) { session in
                            try watch.look(session)
                            try Committer.prepareForAuthors(session)
                        }
                    }),
                reader: connection(address, "reader", limits, watch, settings: byIndex),
                browser: connection(address, "browser", limits, watch),
                queueLink: connection(address, "queues", limits, watch, settings: writing), bell: bell, clock: clock,
                watch: watch)
        } catch {
            await writer.close()
            throw error
        }
    }

    /// Statements are prepared while tables are still small, and their plans are kept. Each of these is meant for an index. Where there is
    /// none the server takes the plan for a costly one, which it would compile.
    private static let byIndex = "SET enable_seqscan = off; SET jit = off"

    /// What is said to be durable is, whatever the database is set to. Whoever waits for a lock gives up before its lease is over; and
    /// locks of a process that is frozen in the middle of a transaction, or cut off, are given up by the server.
    private static let writing = """
        \(byIndex); SET synchronous_commit = on; SET lock_timeout = '3s'; SET idle_in_transaction_session_timeout = '5s';
        SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3
        """

    private static func connection(
        _ address: ServerAddress, _ name: String, _ options: ConnectionOptions, _ watch: LossWatch,
        settings: String? = nil
    ) -> Connection {
        Connection(address, label: "perdure.postgres.\(name)", options: options) { session in
            if let settings { try session.run(settings) }
            try watch.look(session)
        }
    }
}

/// By which names processes tell each other that something is there.
enum Channel {
    /// Something that any node may claim.
    static let all = "perdure"

    /// Messages for the runs of a node.
    static func node(_ node: NodeID) -> String { "perdure \(node.rawValue)" }
}

extension Bell {
    func ring(_ news: StoreNews) {
        if news.isForAll { ring(Channel.all) }
        for node in news.nodes { ring(Channel.node(node)) }
    }
}
