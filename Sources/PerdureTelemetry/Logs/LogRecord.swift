package import PerdureHistory

/// One line of the log, as OTLP has it.
package struct LogRecord: Sendable, Hashable {
    package var at: Timestamp
    /// From 1 to 24: OTLP's number of the level, and its name.
    package var severity: UInt64
    package var level: String
    package var message: String
    package var attributes: [TelemetryAttribute]
    /// The run that it is about.
    package var traceID: TraceID?
    package var spanID: SpanID?
}

extension LogRecord: TelemetryItem {
    package static var signal: TelemetrySignal { .logs }

    package var bytes: [UInt8] {
        ProtobufWriter.message { record in
            record.fixed64(at.nanoseconds, at: 1)
            record.varint(severity, at: 2)
            record.string(level, at: 3)
            record.value(.string(message), at: 5)
            record.attributes(attributes, at: 6)
            if traceID != nil { record.fixed32(Span.traceFlags, at: 8) }
            if let traceID { record.bytes(traceID.bytes, at: 9) }
            if let spanID { record.bytes(spanID.bytes, at: 10) }
            record.fixed64(at.nanoseconds, at: 11)
        }
    }
}
