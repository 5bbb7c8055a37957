internal import Foundation
internal import PerdureHistory
internal import PerdureStore
internal import Synchronization

/// The server's clock, estimated: a node whose own clock is wrong stamps its events with the time of all the others.
///
/// As in Cristian's algorithm the server is taken to have read its clock in the middle of the question. Between two questions the time
/// goes on with the machine's own clock that counts suspended time, which nobody sets.
final class ServerClock: Sendable {
    private struct Reading {
        let server: Timestamp
        let here: ContinuousClock.Instant
    }

    private static let patience = Duration.seconds(1)
    private static let ask = SQL("SELECT \(StoreClock.now("$1"))")

    private let reading = Mutex<Reading?>(nil)

    func now() -> Timestamp {
        guard let reading = reading.withLock({ $0 }) else { return Timestamp(Date()) }
        return reading.server + (ContinuousClock.now - reading.here)
    }

    /// Asks the server, and keeps the answer.
    func read(_ session: Session) throws {
        let before = ContinuousClock.now
        let server = try session.first(Self.ask, Optional<Timestamp>.none) { try $0.time(0) }
        let after = ContinuousClock.now
        guard let server else { return }
        reading.withLock { reading in
            // A process that was held up in between would be off by half of that time.
            if reading != nil, after - before > Self.patience { return }
            reading = Reading(server: server, here: before + (after - before) / 2)
        }
    }
}
