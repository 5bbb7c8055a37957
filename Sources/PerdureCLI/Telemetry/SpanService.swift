import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTelemetry
import ServiceLifecycle

/// Follows what befalls the runs of a store, and sends their spans.
struct SpanService: Service {
    private static let rest = Duration.seconds(5), page = 500

    let exporter: OTLPExporter
    let logger: Logger
    /// Runs of other namespaces are no business of this process; nil for all.
    let namespaces: Set<String>?
    /// Whether the clients that are opened are this service's own.
    let closes: Bool
    let open: @Sendable () async throws -> Client

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var isBlind = false
            while !Task.isCancelled {
                do {
                    let client = try await open()
                    isBlind = false
                    try await follow(client)
                    if closes { await client.close() }
                } catch {
                    if !isBlind, !Task.isCancelled {
                        logger.error("spans cannot be sent now; trying again", metadata: ["error": "\(error)"])
                    }
                    isBlind = true
                    try? await Task.sleep(for: Self.rest)
                }
            }
        }
    }

    private func follow(_ client: Client) async throws {
        let sender = SpanSender(exporter) { run, seq in
            try await client.guarded { try await client.store.events(of: run, after: seq, limit: Self.page) }
        }
        let follower = try HistoryFollower(consumer, client: client, logger: logger) { [namespaces] record, events in
            guard namespaces?.contains(record.namespace) ?? true else { return }
            try await sender.send(record, events)
        }
        await follower.run()
    }

    /// Who sends the spans of some namespaces says nothing about those of others.
    private var consumer: String {
        guard let namespaces else { return "spans" }
        let names = namespaces.sorted().map { "\($0)\u{0}" }.joined()
        return "spans." + SaltedDigest.hex(salt: [], canonicalBytes: Array(names.utf8)).prefix(16)
    }
}
