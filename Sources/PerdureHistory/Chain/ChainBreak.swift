/// Where a run's stored history does not hold together.
package struct ChainBreak: Error, Hashable, Sendable {
    /// What is wrong with the event.
    package enum Reason: Hashable, Sendable {
        /// Another sequence number stands where ``ChainBreak/seq`` should.
        case gap(found: Int64)
        case timeGoesBack(from: Timestamp, to: Timestamp)
        case hashMismatch(stored: EventHash, computed: EventHash)
    }

    /// Public id of the run.
    package let run: String
    /// The first sequence number that does not check.
    package let seq: Int64
    package let reason: Reason

    package init(run: String, seq: Int64, reason: Reason) {
        self.run = run
        self.seq = seq
        self.reason = reason
    }
}

extension ChainBreak: CustomStringConvertible {
    package var description: String {
        let place = "The history of run \(run) is broken at event \(seq)"
        switch reason {
        case .gap(let found):
            return "\(place): event \(found) stands in its place, so events are missing, added or out of order."
        case .timeGoesBack(let from, let to):
            return "\(place): its time \(to) is before the previous event's \(from)."
        case .hashMismatch(let stored, let computed):
            return "\(place): its hash is \(stored), but its fields and the event before give \(computed); "
                + "one of them was changed after it was written."
        }
    }
}
