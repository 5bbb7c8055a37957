package import Perdure
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

/// A wish to remove what is past its time, a bounded part of it. What was set for a namespace holds for its runs; the two times here hold
/// for those of namespaces for which nothing was set.
package struct ExpiryRequest: Sendable {
    /// Histories of runs that closed before this; nil for none.
    package var closedBefore: Timestamp?
    /// Tombstones of runs that expired before this; nil for none.
    package var expiredBefore: Timestamp?
    /// Whether the caller archives what has to be archived first. Otherwise runs of such namespaces are not looked at.
    package var archives: Bool
    /// The runs whose notes of an archive count; nil for all. A run that is noted and not among them is named as unarchived.
    package var confirmed: Set<Int64>?
    /// How far the round has come: the position of the answer before, nil at its beginning.
    package var position: ExpiryPosition?
    /// About how many rows may be looked at or removed.
    package var limit: Int

    package init(
        closedBefore: Timestamp?, expiredBefore: Timestamp? = nil, archives: Bool = false, confirmed: Set<Int64>? = nil,
        position: ExpiryPosition? = nil,
        limit: Int
    ) {
        self.closedBefore = closedBefore
        self.expiredBefore = expiredBefore
        self.archives = archives
        self.confirmed = confirmed
        self.position = position
        self.limit = limit
    }
}

/// A place in a round: first the closed runs, namespace after namespace in the order in which they closed, then the tombstones.
package struct ExpiryPosition: Sendable, Hashable {
    package enum Part: Sendable, Hashable {
        case closed
        case tombstones
    }

    package var part: Part
    package var namespace: String
    package var closedAt: Timestamp
    package var run: Int64

    package init(_ part: Part, namespace: String, closedAt: Timestamp = .distantPast, run: Int64 = 0) {
        self.part = part
        self.namespace = namespace
        self.closedAt = closedAt
        self.run = run
    }
}

/// A run that would expire if its history were in an archive.
package struct UnarchivedRun: Sendable, Hashable {
    package var number: Int64
    package var id: RunID
    /// The end of its history.
    package var seq: Int64

    package init(number: Int64, id: RunID, seq: Int64) {
        self.number = number
        self.id = id
        self.seq = seq
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
    /// Runs whose time is over and which wait for an archive. They were passed over; once they are noted as archived, a call that begins
    /// where this one began lets them expire.
    package var unarchived: [UnarchivedRun] = []
    /// Where the next call goes on. Runs before it that may not expire are not looked at again in this round.
    package var position: ExpiryPosition?
    /// Whether there is nothing left to do in this round.
    package var isDone = false

    package init(position: ExpiryPosition? = nil) { self.position = position }
}

/// Says that a history is in an archive, up to an event.
package struct ArchivedHistory: Sendable, Hashable {
    /// The run's number.
    package var run: Int64
    /// Hash of the last event in the archive.
    package var lastHash: EventHash
    /// SHA-256 of the file.
    package var digest: [UInt8]

    package init(run: Int64, lastHash: EventHash, digest: [UInt8]) {
        self.run = run
        self.lastHash = lastHash
        self.digest = digest
    }
}
