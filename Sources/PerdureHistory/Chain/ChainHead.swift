/// The last event of a run as far as its chain is concerned: what the next event continues.
package struct ChainHead: Hashable, Sendable {
    /// Sequence number of the last event; 0 before the first.
    package var seq: Int64
    /// Time of the last event.
    package var at: Timestamp
    package var hash: EventHash

    package init(seq: Int64, at: Timestamp, hash: EventHash) {
        self.seq = seq
        self.at = at
        self.hash = hash
    }

    /// The head of an empty history. Its hash is SHA-256 over the namespace and the run's public id, each behind its length,
    /// so that a history cannot be passed off as another run's.
    package static func start(namespace: String, run: String) -> ChainHead {
        var buffer = FieldBuffer(capacity: 128)
        buffer.append(prefixed: namespace)
        buffer.append(prefixed: run)
        return ChainHead(seq: 0, at: .distantPast, hash: buffer.sha256())
    }

    /// The head after `event`, without checking anything.
    package init(after event: Event) {
        self.init(seq: event.seq, at: event.at, hash: event.hash)
    }

    /// Gives `draft` its place, time and hash, and moves the head onto it.
    ///
    /// The time is `now`, or the last event's if the clock has gone back.
    package mutating func append(
        _ draft: EventDraft,
        run: String,
        now: Timestamp,
        codec: PayloadCodec = .canonicalJSON,
        keyID: String? = nil
    ) -> Event {
        var buffer = FieldBuffer()
        return append(draft, run: run, now: now, codec: codec, keyID: keyID, buffer: &buffer)
    }

    /// Appends drafts in order, all at the same `now`.
    package mutating func append(
        contentsOf drafts: some Collection<EventDraft>,
        run: String,
        now: Timestamp,
        codec: PayloadCodec = .canonicalJSON,
        keyID: String? = nil
    ) -> [Event] {
        var buffer = FieldBuffer()
        var events: [Event] = []
        events.reserveCapacity(drafts.count)
        for draft in drafts {
            events.append(append(draft, run: run, now: now, codec: codec, keyID: keyID, buffer: &buffer))
        }
        return events
    }

    private mutating func append(
        _ draft: EventDraft,
        run: String,
        now: Timestamp,
        codec: PayloadCodec,
        keyID: String?,
        buffer: inout FieldBuffer
    ) -> Event {
        var event = Event(
            seq: seq &+ 1,
            at: max(at, now),
            kind: draft.kind,
            subject: draft.subject,
            attributes: draft.attributes,
            input: draft.input,
            output: draft.output,
            codec: codec,
            keyID: keyID,
            hash: hash)
        event.hash = EventChain.hash(of: event, run: run, after: hash, buffer: &buffer)
        self = ChainHead(after: event)
        return event
    }
}
