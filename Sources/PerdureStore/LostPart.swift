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

    /// Reads `event`. A later loss begins no later than an earlier one: what was lost then has come about at no known time.
    package init(_ event: Event, after earlier: LostPart? = nil) throws(PayloadError) {
        let attributes = try event.attributes.object()
        let since = attributes["lost_since"]?.integerValue.map(Timestamp.init(microseconds:)) ?? event.at
        let by = attributes["by"].flatMap { Principal(stored: $0.canonicalText) } ?? Principal(.system, "unknown")
        self.init(since: min(since, earlier?.since ?? since), until: event.at, by: by)
    }
}
