/// One recorded fact of a run. `hash` covers every other field, the run's public id and the event before.
package struct Event: Hashable, Sendable {
    /// Place in the run's history, gapless from 1.
    package var seq: Int64
    /// When the store stamped it; never decreases within a run.
    package var at: Timestamp
    package var kind: EventKind
    /// The identity of the operation the event is about; empty for the run itself.
    package var subject: String
    package var attributes: Attributes
    package var input: StoredValue?
    package var output: StoredValue?
    /// How `input` and `output` are written.
    package var codec: PayloadCodec
    /// The key that encrypts `input` and `output`; nil for plain bytes.
    package var keyID: String?
    package var hash: EventHash

    package init(
        seq: Int64,
        at: Timestamp,
        kind: EventKind,
        subject: String,
        attributes: Attributes,
        input: StoredValue?,
        output: StoredValue?,
        codec: PayloadCodec,
        keyID: String?,
        hash: EventHash
    ) {
        self.seq = seq
        self.at = at
        self.kind = kind
        self.subject = subject
        self.attributes = attributes
        self.input = input
        self.output = output
        self.codec = codec
        self.keyID = keyID
        self.hash = hash
    }

    /// Length of its values in bytes.
    package var valueSize: Int64 { (input?.size ?? 0) + (output?.size ?? 0) }
}
