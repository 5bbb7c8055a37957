/// How long the server is waited for. A large commit over a slow network takes long, but goes on; what is given up is a server of which
/// nothing more comes.
struct Patience {
    let limit: Duration
    private(set) var end: ContinuousClock.Instant
    private let isRenewed: Bool

    /// For as long as something is sent or comes at least so often.
    init(silence limit: Duration, now: ContinuousClock.Instant = .now) {
        self.limit = limit
        end = now + limit
        isRenewed = true
    }

    /// For all that comes together.
    init(until end: ContinuousClock.Instant) {
        limit = max(.zero, end - .now)
        self.end = end
        isRenewed = false
    }

    mutating func noteProgress(now: ContinuousClock.Instant = .now) { if isRenewed { end = now + limit } }
}
