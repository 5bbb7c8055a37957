internal import Crypto
package import Perdure
internal import PerdureHistory

/// Names one trace: 16 bytes, not all zero.
package struct TraceID: Sendable, Hashable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// - Returns: nil for another number of bytes, or zeros alone.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 16, bytes.contains(where: { $0 != 0 }) else { return nil }
        self.bytes = bytes
    }

    /// The trace of a run: the bytes of its id, of which the last seven are random.
    package init(_ run: RunID) {
        let bytes = Hex.decode(run.description.filter { $0 != "-" }) ?? []
        // A UUID of zeros is no id of a run that was started, but it can be written down.
        self = TraceID(bytes) ?? TraceID(unchecked: [UInt8](repeating: 0, count: 15) + [1])
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    package var description: String { Hex.encode(bytes) }
}

/// Names one span of a trace: 8 bytes, not all zero.
package struct SpanID: Sendable, Hashable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// - Returns: nil for another number of bytes, or zeros alone.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 8, bytes.contains(where: { $0 != 0 }) else { return nil }
        self.bytes = bytes
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    package var description: String { Hex.encode(bytes) }
}

extension SpanID {
    /// The root span of a run.
    package static func root(of run: RunID) -> SpanID { derived(run, "run") }

    /// What begins with an event of its own.
    ///
    /// - Parameter epoch: See `AttemptIdentity.epoch`.
    static func begun(_ what: String, by event: Event, in run: RunID, epoch: String) -> SpanID {
        derived(run, what, String(event.seq), epoch)
    }

    /// A child in its parent's trace. Both know what it follows from, so each can point to the other.
    static func child(_ child: RunID, of parent: RunID) -> SpanID { derived(parent, "child", child.description) }

    /// An attempt, whose id is known before any event speaks of it.
    static func attempt(_ attempt: AttemptIdentity, in run: RunID) -> SpanID {
        derived(
            run, attempt.isUndo ? "undo attempt" : "attempt", attempt.subject, String(attempt.number),
            attempt.epoch, String(attempt.repetition))
    }

    /// The first 8 bytes of SHA-256 over length-prefixed texts. Other systems remember these ids, so the derivation never changes.
    private static func derived(_ run: RunID, _ fields: String...) -> SpanID {
        var hash = SHA256()
        for field in ["perdure.span.1", run.description] + fields {
            withUnsafeBytes(of: UInt32(field.utf8.count).bigEndian) { hash.update(bufferPointer: $0) }
            hash.update(data: Array(field.utf8))
        }
        let bytes = Array(hash.finalize().prefix(8))
        return SpanID(bytes) ?? SpanID(unchecked: [0, 0, 0, 0, 0, 0, 0, 1])
    }
}

/// What tells an attempt from every other one of its run.
struct AttemptIdentity: Hashable, Sendable {
    /// The step, as history names it.
    var subject: String
    var isUndo = false
    /// As the body is told it. One that a crash cut off uses up none.
    var number: Int64
    /// The hash of the last `run.reset` or `run.restored` by then, empty before the first: after one a step may be done once more,
    /// beginning with 1, and where history went back other events may stand under the numbers of those that were lost.
    var epoch = ""
    /// How many attempts of this number came before: one that was put in doubt, and did not happen, is made again under its number.
    var repetition = 0
}
