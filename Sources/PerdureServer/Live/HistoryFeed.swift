internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle

/// The events of one run, as they become durable, in server-sent events: each with its number as `id`, so that whoever lost the connection
/// goes on behind the last one that came.
struct HistoryFeed: Sendable {
    let client: Client
    let live: LiveHistories
    /// Who follows.
    let caller: String
    let run: RunID
    let number: Int64
    let after: Int64

    private static let pageSize = 100
    private static let longest = Duration.seconds(300)
    /// So that both sides notice a connection that is gone, and no proxy takes it for one.
    private static let pauseBetweenSigns = Duration.seconds(15)

    /// Returns when the run is over and everything is told.
    ///
    /// - Parameter tell: Sends text and returns when there is room for more.
    @concurrent func tell(_ tell: @concurrent (String) async throws -> Void) async throws {
        guard await live.enter(caller) else { return }
        do {
            try await follow(tell)
        } catch {
            await live.leave(caller)
            throw error
        }
        await live.leave(caller)
    }

    @concurrent private func follow(_ tell: @concurrent (String) async throws -> Void) async throws {
        try await tell("retry: 2000\n\n")
        var seq = after
        let begun = ContinuousClock.now
        // Whoever still may connects again: rights are looked at when a stream begins.
        while !Task.isShuttingDownGracefully, begun.duration(to: .now) < Self.longest {
            // Asked before the page: what closes the run is in a page that is read after it closed.
            let state = try await client.record(run).state
            let events = try await client.guarded { try await client.store.events(of: number, after: seq, limit: Self.pageSize) }
            if let last = events.last {
                try await tell(events.map(Self.text).joined())
                seq = last.seq
            } else if state.endsWaits {
                return try await tell("event: end\ndata: {\"state\":\"\(state.rawValue)\"}\n\n")
            } else {
                let known = seq
                let hasGrown: Void? = try await firstResult(within: Self.pauseBetweenSigns) { [live, number] in
                    // The end of the server does not wait for whoever follows.
                    try await cancelWhenGracefulShutdown { try await live.growth(of: number, beyond: known) }
                }
                if hasGrown == nil { try await tell(": still here\n\n") }
            }
        }
    }

    /// JSON on one line: canonical text has no line breaks.
    private static func text(_ event: Event) -> String { "id: \(event.seq)\ndata: \(RunJSON.event(event).canonicalText)\n\n" }
}

/// What comes of the work, or nil if it takes longer.
func firstResult<Result: Sendable>(within time: Duration, _ work: @escaping @Sendable () async throws -> Result) async throws
    -> Result?
{
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await work() }
        group.addTask {
            try await Task.sleep(for: time)
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
}
