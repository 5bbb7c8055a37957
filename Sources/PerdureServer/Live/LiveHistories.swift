internal import Logging
internal import PerdureEngine
internal import PerdureStore

/// Tells whoever follows histories that they have grown, wherever that came about: one look at the store for all of them, as long as
/// anybody follows.
actor LiveHistories {
    private struct Follower {
        let seq: Int64
        let continuation: CheckedContinuation<Void, any Error>
    }

    /// How many may follow at once. Each has a connection and a page of events in memory at most.
    static let mostFollowers = 2_000
    /// How many of them one caller may have, so that nobody keeps the others from following.
    static let mostOfOne = 200
    private static let pause = Duration.milliseconds(250)
    /// How many histories one look asks for: it must not hold up other reading.
    private static let lookLimit = 1_000

    private let client: Client
    private let logger: Logger
    private var followers: [Int64: [Int: Follower]] = [:]
    private var lastFollower = 0
    private var streams = 0
    private var streamsOf: [String: Int] = [:]
    private var isLooking = false
    private var isBlind = false

    init(client: Client, logger: Logger) {
        self.client = client
        self.logger = logger
    }

    // MARK: How many

    func hasRoom(for caller: String) -> Bool {
        streams < Self.mostFollowers && streamsOf[caller, default: 0] < Self.mostOfOne
    }

    /// - Returns: False if too many follow already. Who is let in says `leave` at the end.
    func enter(_ caller: String) -> Bool {
        guard hasRoom(for: caller) else { return false }
        streams += 1
        streamsOf[caller, default: 0] += 1
        return true
    }

    func leave(_ caller: String) {
        streams -= 1
        streamsOf[caller] = streamsOf[caller].flatMap { $0 > 1 ? $0 - 1 : nil }
    }

    // MARK: Growth

    /// Returns when the history of a run goes beyond an event.
    ///
    /// - Throws: `CancellationError`.
    func growth(of run: Int64, beyond seq: Int64) async throws {
        lastFollower += 1
        let number = lastFollower
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                    return
                }
                followers[run, default: [:]][number] = Follower(seq: seq, continuation: continuation)
                if !isLooking {
                    isLooking = true
                    Task { await look() }
                }
            }
        } onCancel: {
            Task { await drop(number, of: run) }
        }
    }

    private func drop(_ number: Int, of run: Int64) {
        let follower = followers[run]?.removeValue(forKey: number)
        if followers[run]?.isEmpty == true { followers[run] = nil }
        follower?.continuation.resume(throwing: CancellationError())
    }

    /// Goes on until nobody follows any more.
    private func look() async {
        while !followers.isEmpty {
            try? await Task.sleep(for: Self.pause)
            var runs = Array(followers.keys)[...]
            while !runs.isEmpty {
                await look(at: Array(runs.prefix(Self.lookLimit)))
                runs = runs.dropFirst(Self.lookLimit)
            }
        }
        isLooking = false
    }

    private func look(at runs: [Int64]) async {
        do {
            for (run, last) in try await client.guarded({ try await client.store.lastSeqs(of: runs) }) {
                for (number, follower) in followers[run] ?? [:] where follower.seq < last {
                    followers[run]?[number] = nil
                    follower.continuation.resume()
                }
                if followers[run]?.isEmpty == true { followers[run] = nil }
            }
            isBlind = false
        } catch {
            if !isBlind {
                logger.warning("whether histories grow cannot be seen; looking again", metadata: ["error": "\(error)"])
            }
            isBlind = true
        }
    }
}
