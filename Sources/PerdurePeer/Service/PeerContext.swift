import Hummingbird

/// The context of one request: it knows its connection, so that the peer can hang up.
struct PeerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    private let close: @Sendable () async throws -> Void

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        let channel = source.channel
        close = { try await channel.close() }
    }

    /// Closes the connection without an answer.
    func hangUp() async throws {
        try await close()
    }
}
