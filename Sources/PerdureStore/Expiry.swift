package import PerdureHistory

/// What the row of an expired run keeps of its history: enough to check that `run.expired`, the one event that is left, stands at the
/// end of this very chain.
package struct Tombstone: Sendable, Hashable {
    package var expiredAt: Timestamp
    /// The last event before `run.expired`.
    package var lastSeq: Int64
    package var lastHash: EventHash

    package init(expiredAt: Timestamp, lastSeq: Int64, lastHash: EventHash) {
        self.expiredAt = expiredAt
        self.lastSeq = lastSeq
        self.lastHash = lastHash
    }

    /// What `run.expired` continues. The time of the last event is gone with it.
    package var head: ChainHead { ChainHead(seq: lastSeq, at: .distantPast, hash: lastHash) }
}

/// A wish to remove what is past its time, a bounded part of it.
package struct ExpiryRequest: Sendable {
    /// Histories of runs that closed before this; nil for none.
    package var closedBefore: Timestamp?
    /// Tombstones of runs that expired before this; nil for none.
    package var expiredBefore: Timestamp?
    /// How far the round has come: the position of the answer before, nil at its beginning.
    package var position: ExpiryPosition?
    /// About how many rows may be looked at or removed.
    package var limit: Int

    package init(
        closedBefore: Timestamp?, expiredBefore: Timestamp? = nil, position: ExpiryPosition? = nil, limit: Int
    ) {
        self.closedBefore = closedBefore
        self.expiredBefore = expiredBefore
        self.position = position
        self.limit = limit
    }
}

/// A place in the order in which runs have closed.
package struct ExpiryPosition: Sendable, Hashable {
    package var closedAt: Timestamp
    package var run: Int64

    package init(closedAt: Timestamp, run: Int64) {
        self.closedAt = closedAt
        self.run = run
    }
}

/// What one call has done.
package struct Expiry: Sendable, Hashable {
    /// Runs that have become tombstones.
    package var expired = 0
    /// Tombstones that are gone.
    package var removed = 0
    /// Runs whose time is over but whose row or last event cannot be read: they are passed over.
    package var unreadable: [BrokenRun] = []
    /// Where the next call goes on. Runs before it that may not expire are not looked at again in this round.
    package var position: ExpiryPosition?
    /// Whether there is nothing left to do in this round.
    package var isDone = false

    package init(position: ExpiryPosition? = nil) { self.position = position }
}
