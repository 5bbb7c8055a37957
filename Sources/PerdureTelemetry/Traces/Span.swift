package import PerdureHistory

/// One span that has ended, as OTLP has it. No value of an author's stands in it.
package struct Span: Sendable, Hashable {
    package enum Kind: UInt64, Sendable {
        case `internal` = 1, client = 3, producer = 4, consumer = 5
    }

    /// Something that happened at a point of the span.
    package struct Event: Sendable, Hashable {
        package var at: Timestamp
        package var name: String
        package var attributes: [TelemetryAttribute]
    }

    /// A span of another trace that belongs to this one.
    package struct Link: Sendable, Hashable {
        package var traceID: TraceID
        package var spanID: SpanID
        /// How: `perdure.link`.
        package var relation: String
    }

    package var traceID: TraceID
    package var id: SpanID
    /// Nil of the root.
    package var parent: SpanID?
    package var name: String
    package var kind: Kind
    package var start: Timestamp
    package var end: Timestamp
    package var attributes: [TelemetryAttribute]
    package var events: [Event]
    /// How many events there were beyond those.
    package var droppedEvents = 0
    package var links: [Link]
    /// What went wrong, in a word; nil if nothing did.
    package var error: String?
}

extension Span: TelemetryItem {
    package static var signal: TelemetrySignal { .traces }

    /// Recorded, with a trace id whose last bytes are random: the flags of W3C Trace Context.
    static let traceFlags: UInt32 = 0x03
    /// The parent is known to be of this process's kind (0x100), that of links to be of another (0x300).
    private static let flags = 0x100 | traceFlags, linkFlags = 0x300 | traceFlags

    package var bytes: [UInt8] {
        ProtobufWriter.message { writer in
            writer.bytes(traceID.bytes, at: 1)
            writer.bytes(id.bytes, at: 2)
            if let parent { writer.bytes(parent.bytes, at: 4) }
            writer.string(name, at: 5)
            writer.varint(kind.rawValue, at: 6)
            writer.fixed64(start.nanoseconds, at: 7)
            writer.fixed64(end.nanoseconds, at: 8)
            writer.attributes(attributes, at: 9)
            for event in events {
                writer.message(at: 11) { message in
                    message.fixed64(event.at.nanoseconds, at: 1)
                    message.string(event.name, at: 2)
                    message.attributes(event.attributes, at: 3)
                }
            }
            writer.varint(UInt64(max(0, droppedEvents)), at: 12)
            for link in links {
                writer.message(at: 13) { message in
                    message.bytes(link.traceID.bytes, at: 1)
                    message.bytes(link.spanID.bytes, at: 2)
                    message.attributes([TelemetryAttribute(TraceAttribute.link, link.relation)], at: 4)
                    message.fixed32(Self.linkFlags, at: 6)
                }
            }
            if let error {
                writer.message(at: 15) { status in
                    status.string(error, at: 2)
                    status.varint(2, at: 3)
                }
            }
            writer.fixed32(Self.flags, at: 16)
        }
    }
}

extension Timestamp {
    /// Nanoseconds since 1970; what they cannot say saturates.
    package var nanoseconds: UInt64 {
        let (value, hasOverflown) = UInt64(max(0, microseconds)).multipliedReportingOverflow(by: 1_000)
        return hasOverflown ? .max : value
    }
}
