/// The hash chain of one run: each event's hash covers its fields as stored and the hash before.
///
/// `hash = SHA-256(format ‖ previous hash ‖ fields)`, the format being the byte 1. A field is a tag byte (0 null, 1 integer as
/// 8 bytes big endian, 2 UTF-8 text, 3 bytes, 4 a value above 64 KiB: 8 bytes size and its SHA-256), the content's length as 4 bytes big
/// endian, and the content. The fields are, in this order: public run id, seq, at, kind, subject, attributes, input, output,
/// codec, key id. A hashed history is for ever: change nothing here but under a new format byte.
package enum EventChain {
    /// The format byte of today's hashes.
    package static let format: UInt8 = 1

    /// Checks that `events` continue `head` without gap, without going back in time and with the right hashes.
    /// - Returns: the head after the last event.
    /// - Throws: a ``ChainBreak`` that names the first event which does not.
    @discardableResult
    package static func verify(
        _ events: some Sequence<Event>,
        run: String,
        from head: ChainHead
    ) throws(ChainBreak) -> ChainHead {
        var head = head
        var buffer = FieldBuffer()
        for event in events {
            let expected = head.seq &+ 1
            guard event.seq == expected else {
                throw ChainBreak(run: run, seq: expected, reason: .gap(found: event.seq))
            }
            guard event.at >= head.at else {
                throw ChainBreak(run: run, seq: expected, reason: .timeGoesBack(from: head.at, to: event.at))
            }
            let hash = hash(of: event, run: run, after: head.hash, buffer: &buffer)
            guard event.hash == hash else {
                throw ChainBreak(run: run, seq: expected, reason: .hashMismatch(stored: event.hash, computed: hash))
            }
            head = ChainHead(after: event)
        }
        return head
    }

    /// The hash `event` must have after `previous`; its own `hash` is not looked at.
    package static func hash(of event: Event, run: String, after previous: EventHash) -> EventHash {
        var buffer = FieldBuffer()
        return hash(of: event, run: run, after: previous, buffer: &buffer)
    }

    static func hash(of event: Event, run: String, after previous: EventHash, buffer: inout FieldBuffer) -> EventHash {
        buffer.clear()
        buffer.append(byte: format)
        buffer.append(previous)
        buffer.append(text: run)
        buffer.append(integer: event.seq)
        buffer.append(integer: event.at.microseconds)
        buffer.append(text: event.kind.rawValue)
        buffer.append(text: event.subject)
        buffer.append(text: event.attributes.text)
        buffer.append(value: event.input)
        buffer.append(value: event.output)
        buffer.append(integer: Int64(event.codec.rawValue))
        buffer.append(text: event.keyID)
        return buffer.sha256()
    }
}
