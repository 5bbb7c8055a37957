package import Perdure
package import PerdureHistory

/// A part of a run's history that may be lost, with whatever was sent meanwhile: the store was restored from a backup, or a replica took
/// over that was behind.
package struct LostPart: Sendable, Hashable {
    /// When the run last had an event that is not lost.
    package var since: Timestamp
    /// When its history was marked. Nothing more of the lost part was begun by then.
    package var until: Timestamp
    /// Who had the history marked.
    package var by: Principal

    package init(since: Timestamp, until: Timestamp, by: Principal) {
        self.since = since
        self.until = until
        self.by = by
    }

    /// What the history says of it.
    package var event: EventDraft {
        EventDraft(
            .runRestored,
            attributes: [
                "by": .object([
                    "kind": .string(by.kind.rawValue), "id": .string(by.id), "authentication": .string(by.authentication),
                ]),
                "lost_since": .integer(since.microseconds),
            ])
    }

    /// Who had it marked, where that cannot be read.
    package static let unknown = Principal(.system, "unknown")

    /// Reads `event`. A later loss begins no later than an earlier one: what was lost then has come about at no known time.
    package init(_ event: Event, after earlier: LostPart? = nil) throws(PayloadError) {
        let attributes = try event.attributes.object()
        let since = attributes["lost_since"]?.integerValue.map(Timestamp.init(microseconds:)) ?? event.at
        let by = attributes["by"].flatMap { Principal(stored: $0.canonicalText) } ?? Self.unknown
        self.init(since: min(since, earlier?.since ?? since), until: event.at, by: by)
    }
}

/// Names the event that marks a loss. Neither its place nor its time would do: a mark may be lost itself, and the one that comes into its
/// place has the time of the event before them both where the clock of the store is behind.
package struct LossMark: Codable, Sendable, Hashable {
    package var seq: Int64
    /// The event's, in hexadecimal digits.
    package var hash: String

    package init(seq: Int64, hash: String) {
        self.seq = seq
        self.hash = hash
    }

    package init(_ event: Event) { self.init(seq: event.seq, hash: "\(event.hash)") }
}

extension LostPart {
    /// The epoch in which a run begins that may have begun in the lost part already: above all that it can have had there, so that fencing
    /// tokens go on growing.
    package var firstEpoch: Int64 { Restoration.epochRise + min(max(0, until.microseconds), .max / 2) }
}

extension NewRun {
    private var saysLoss: Bool { events.contains { $0.kind == .runRestored } }

    /// What has to be said in a run that was to begin before history was recovered, and does not say it: it may have begun in the lost
    /// part. An answer may have been lost with it, so that the same is offered again.
    package func unsaidLoss(before lift: Restoration.Lift?, now: Timestamp) -> LostPart? {
        guard let lift, record.createdAt <= lift.at, !saysLoss else { return nil }
        return LostPart(since: record.createdAt, until: now, by: lift.by)
    }

    /// The same run with the lost part in its history, if it does not say so already. It belongs to nobody: whoever hosts the workflow
    /// takes it on.
    package func saying(_ lost: LostPart) -> NewRun {
        guard let last = events.last, !saysLoss else { return self }
        var run = self, head = ChainHead(after: last)
        run.events.append(head.append(lost.event, run: record.id.description, now: lost.until))
        run.record.epoch = lost.firstEpoch
        if run.record.owner != nil { (run.record.owner, run.record.state) = (nil, .ready) }
        return run
    }
}

extension CommitItem {
    /// The same with the lost part in the histories of the runs that somebody starts by it.
    package func saying(_ lost: LostPart) -> CommitItem {
        switch self {
        case .create(let run): return .create(run.saying(lost))
        case .schedule(var change):
            change.starts = change.starts.map { $0.saying(lost) }
            return .schedule(change)
        case .advance, .deliver, .beat: return self
        }
    }
}
