package import Perdure
package import PerdureHistory

/// What a rate comes to: the generic cell rate algorithm. What is kept of it is one time, the *slot*.
extension Rate {
    /// The time from one to the next if all are evenly spread.
    package var spacing: Duration { .microseconds(interval) }

    /// In microseconds; rounded up, so that no window has too many.
    private var interval: Int64 {
        let period = max(1, Int64(period / .microseconds(1))), count = Int64(count)
        return max(1, period / count + (period % count == 0 ? 0 : 1))
    }

    /// How much earlier than evenly spread the last of a burst may be.
    private var tolerance: Int64 { interval * Int64(burst - 1) }

    /// A slot that cannot lie so far ahead comes of a clock that was set back, or of another rate: it must not stop anybody.
    private func legible(_ slot: Timestamp, _ now: Timestamp) -> Timestamp {
        min(slot, now + .microseconds(tolerance + interval))
    }

    /// How many may begin now.
    ///
    /// - Parameter slot: when the next one would be due if all were evenly spread.
    package func allowance(_ slot: Timestamp, now: Timestamp) -> Int {
        let ahead = max(0, legible(slot, now).microseconds - now.microseconds)
        return ahead > tolerance ? 0 : Int((tolerance - ahead) / interval) + 1
    }

    /// The slot after so many have begun now.
    package func slot(after count: Int, from slot: Timestamp, now: Timestamp) -> Timestamp {
        guard count > 0 else { return legible(slot, now) }
        return max(legible(slot, now), now) + .microseconds(interval * Int64(count))
    }

    /// When one may begin again.
    package func opens(_ slot: Timestamp, now: Timestamp) -> Timestamp { legible(slot, now) - .microseconds(tolerance) }
}
