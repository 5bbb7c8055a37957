package import Perdure
package import PerdureHistory

/// A closed run whose time is over.
package struct ExpiryCandidate: Sendable, Hashable {
    package var number: Int64
    package var closedAt: Timestamp

    package init(number: Int64, closedAt: Timestamp) {
        self.number = number
        self.closedAt = closedAt
    }
}

/// What a history ends with, as a store reads it for a run that is about to expire.
package struct ExpiringRun: Sendable {
    package var record: RunRecord
    package var head: ChainHead
    /// What was noted of its archive.
    package var archive: ArchivedHistory?

    package init(record: RunRecord, head: ChainHead, archive: ArchivedHistory?) {
        self.record = record
        self.head = head
        self.archive = archive
    }
}

/// What a walk asks of a store's transaction. Everything is done at once and undone together.
package protocol ExpiryGround {
    /// What is set for namespaces. Of one that cannot be read it is `RetentionTerms.everything`.
    mutating func terms() throws -> [String: RetentionTerms]
    /// The first namespace behind a name that has closed runs, or tombstones.
    mutating func nextNamespace(after name: String, _ part: ExpiryPosition.Part) throws -> String?

    /// An expired run with something left of its history, and the last event of that. One that another process is at work on is left out.
    mutating func leftover() throws -> (run: Int64, last: Int64)?
    /// Closed runs behind a place in its namespace, in the order in which they closed.
    mutating func closed(after place: ExpiryPosition, before time: Timestamp, limit: Int) throws -> [ExpiryCandidate]
    /// Whether the run is closed, unowned and sound, and has no unread message; it stays so until the end of the transaction.
    mutating func isAtRest(_ run: Int64) throws -> Bool
    /// The first event that leaves something open, and the last event.
    mutating func openings(of run: Int64) throws -> (first: Int64, last: Int64)?
    /// Whether something has begun at or behind an event about which nothing was recorded since.
    mutating func hasOpening(_ run: Int64, from seq: Int64) throws -> Bool
    /// - Throws: `BadRow` if it cannot be read.
    mutating func expiring(_ run: Int64) throws -> ExpiringRun
    /// The id of a run that cannot be read, if that much can be.
    mutating func readableID(of run: Int64) throws -> RunID?
    /// Appends the event, makes the row a tombstone with leftovers, and forgets the run's marks and labels.
    mutating func bury(_ run: Int64, _ end: Event, last: ChainHead, at time: Timestamp) throws

    /// Each removes at most so many rows of an expired run, and says how many they were.
    mutating func removeEvents(of run: Int64, through seq: Int64, limit: Int) throws -> Int
    mutating func removeBlobs(of run: Int64, limit: Int) throws -> Int
    mutating func removeMessages(of run: Int64, limit: Int) throws -> Int
    /// Nothing is left but the tombstone.
    mutating func settle(_ run: Int64) throws

    /// Tombstones without leftovers of a namespace, the oldest first. Those that another process is at work on are left out.
    mutating func tombstones(of namespace: String, before time: Timestamp, limit: Int) throws -> [Int64]
    mutating func removeTombstones(_ runs: [Int64]) throws
}

/// One bounded part of a round of removing, in one transaction: the same in every store.
package struct ExpiryWalk<Ground: ExpiryGround> {
    private let request: ExpiryRequest
    private let now: Timestamp
    private let terms: [String: RetentionTerms]
    /// How many rows may still be touched.
    private var room: Int
    private var answer: Expiry

    private static var candidatesAtOnce: Int { 64 }
    /// What deleting a large value counts for, in rows.
    private static var blobWeight: Int { 32 }
    /// How many events that are only looked at count as one row.
    private static var eventsPerRow: Int64 { 20 }
    /// How many runs are given out to be archived, at most.
    private static var unarchivedAtOnce: Int { 64 }

    /// Goes on from the request's position.
    package static func run(_ request: ExpiryRequest, now: Timestamp, on ground: inout Ground) throws -> Expiry {
        var walk = ExpiryWalk(request, now: now, terms: try ground.terms())
        walk.answer.isDone = try walk.removeLeftovers(&ground) && walk.expireRuns(&ground) && walk.removeTombstones(&ground)
        return walk.answer
    }

    private init(_ request: ExpiryRequest, now: Timestamp, terms: [String: RetentionTerms]) {
        self.request = request
        self.now = now
        self.terms = terms
        room = max(1, request.limit)
        answer = Expiry(position: request.position)
    }

    // MARK: What is past its time

    /// Runs that closed before this expire; nil if none of the namespace does.
    private func closedBefore(_ namespace: String) -> Timestamp? {
        guard let terms = terms[namespace] else { return request.closedBefore }
        guard request.archives || !terms.archives else { return nil }
        return terms.closedAfter.map { now - $0 }
    }

    private func expiredBefore(_ namespace: String) -> Timestamp? {
        guard let terms = terms[namespace] else { return request.expiredBefore }
        return terms.removedAfter.map { now - $0 }
    }

    // MARK: The round

    /// Goes on where a call before stopped in the middle of a long history.
    private mutating func removeLeftovers(_ ground: inout Ground) throws -> Bool {
        while let (run, last) = try ground.leftover() {
            guard try clear(run, through: last, &ground) else { return false }
        }
        return true
    }

    private mutating func expireRuns(_ ground: inout Ground) throws -> Bool {
        if answer.position?.part == .tombstones { return true }
        while true {
            if let place = answer.position, let time = closedBefore(place.namespace) {
                guard try expireRuns(of: place.namespace, before: time, &ground) else { return false }
            }
            // A namespace whose runs all stay costs a look at its name.
            guard room > 0 else { return false }
            room -= 1
            guard let next = try ground.nextNamespace(after: answer.position?.namespace ?? "", .closed) else { return true }
            answer.position = ExpiryPosition(.closed, namespace: next)
        }
    }

    private mutating func expireRuns(of namespace: String, before time: Timestamp, _ ground: inout Ground) throws -> Bool {
        while let place = answer.position {
            let found = try ground.closed(after: place, before: time, limit: Self.candidatesAtOnce)
            for candidate in found {
                guard room > 0, answer.unarchived.count < Self.unarchivedAtOnce else { return false }
                room -= 1
                answer.position = ExpiryPosition(
                    .closed, namespace: namespace, closedAt: candidate.closedAt, run: candidate.number)
                guard try ground.isAtRest(candidate.number), try !hasOpening(candidate.number, &ground),
                    let run = try readable(candidate.number, &ground), isArchived(run)
                else { continue }
                try bury(run, candidate, &ground)
                answer.expired += 1
                guard try clear(candidate.number, through: run.head.seq, &ground) else { return false }
            }
            if found.count < Self.candidatesAtOnce { return true }
        }
        return true
    }

    private mutating func hasOpening(_ run: Int64, _ ground: inout Ground) throws -> Bool {
        guard let (first, last) = try ground.openings(of: run) else { return false }
        room -= Int(clamping: (last - first) / Self.eventsPerRow)
        return try ground.hasOpening(run, from: first)
    }

    /// A run that cannot be read stays as it is, and keeps no other from expiring.
    private mutating func readable(_ run: Int64, _ ground: inout Ground) throws -> ExpiringRun? {
        do throws(any Error) {
            return try ground.expiring(run)
        } catch let bad as BadRow {
            answer.unreadable.append(BrokenRun(number: run, id: try ground.readableID(of: run), reason: bad.description))
            return nil
        }
    }

    /// Whether the run need not be archived, or is, up to its last event.
    private mutating func isArchived(_ run: ExpiringRun) -> Bool {
        guard terms[run.record.namespace]?.archives ?? false else { return true }
        let isConfirmed = request.confirmed.map { $0.contains(run.record.number) } ?? true
        if isConfirmed, run.archive?.lastHash == run.head.hash { return true }
        answer.unarchived.append(UnarchivedRun(number: run.record.number, id: run.record.id, seq: run.head.seq))
        return false
    }

    /// Ends the chain and makes the row a tombstone. From here on nothing else of the history counts.
    private func bury(_ run: ExpiringRun, _ candidate: ExpiryCandidate, _ ground: inout Ground) throws {
        var head = run.head
        let archive = run.archive.flatMap { $0.lastHash == run.head.hash ? JSONValue.string(Hex.encode($0.digest)) : nil }
        let draft = EventDraft(
            .runExpired,
            attributes: .make(
                ("state", .string(run.record.state.rawValue)), ("closed_at", .integer(candidate.closedAt.microseconds)),
                ("last_hash", .string(run.head.hash.description)), ("archive", archive)))
        let end = head.append(draft, run: run.record.id.description, now: now)
        try ground.bury(candidate.number, end, last: run.head, at: now)
    }

    /// Removes what the room allows of an expired run. Returns whether that was all.
    private mutating func clear(_ run: Int64, through last: Int64, _ ground: inout Ground) throws -> Bool {
        guard try remove(weight: 1, { try ground.removeEvents(of: run, through: last, limit: $0) }),
            try remove(weight: Self.blobWeight, { try ground.removeBlobs(of: run, limit: $0) }),
            try remove(weight: 1, { try ground.removeMessages(of: run, limit: $0) })
        else { return false }
        try ground.settle(run)
        return true
    }

    private mutating func remove(weight: Int, _ delete: (Int) throws -> Int) throws -> Bool {
        // One row more than there is room for, so that even a room smaller than one row's weight gets on.
        let limit = max(0, room) / weight + 1
        let count = try delete(limit)
        room -= count * weight
        return count < limit
    }

    private mutating func removeTombstones(_ ground: inout Ground) throws -> Bool {
        if answer.position?.part != .tombstones { answer.position = ExpiryPosition(.tombstones, namespace: "") }
        while let namespace = answer.position?.namespace {
            if let time = expiredBefore(namespace) {
                let limit = max(0, room) / 2 + 1
                let found = try ground.tombstones(of: namespace, before: time, limit: limit)
                try ground.removeTombstones(found)
                answer.removed += found.count
                room -= 2 * found.count
                if found.count == limit { return false }
            }
            guard room > 0 else { return false }
            room -= 1
            guard let next = try ground.nextNamespace(after: namespace, .tombstones) else { return true }
            answer.position = ExpiryPosition(.tombstones, namespace: next)
        }
        return true
    }
}
