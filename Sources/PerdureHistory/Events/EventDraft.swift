/// An event before it has its place in the history: everything but sequence number, time and hash.
package struct EventDraft: Hashable, Sendable {
    package var kind: EventKind
    /// The identity of the operation the event is about; empty for the run itself.
    package var subject: String
    package var attributes: Attributes
    package var input: StoredValue?
    package var output: StoredValue?

    package init(
        _ kind: EventKind,
        subject: String = "",
        attributes: Attributes = .none,
        input: StoredValue? = nil,
        output: StoredValue? = nil
    ) {
        self.kind = kind
        self.subject = subject
        self.attributes = attributes
        self.input = input
        self.output = output
    }
}
