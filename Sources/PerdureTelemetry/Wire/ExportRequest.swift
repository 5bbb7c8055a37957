/// A request of OTLP: items of one signal with what they come from. The requests of the three signals have the same field numbers.
package struct ExportRequest: Sendable {
    /// The process that they come from.
    package var resource: [TelemetryAttribute]
    /// Each a whole message: a `Span`, a `Metric` or a `LogRecord`.
    package var items: [[UInt8]]

    /// The instrumentation that all items are of.
    private static let scope = ProtobufWriter.message { $0.string("perdure", at: 1) }

    package init(resource: [TelemetryAttribute], items: [[UInt8]]) {
        self.resource = resource
        self.items = items
    }

    package var bytes: [UInt8] {
        let resource = ProtobufWriter.message { $0.attributes(self.resource, at: 1) }
        let scoped = ProtobufWriter.message { writer in
            writer.message(Self.scope, at: 1)
            for item in items { writer.message(item, at: 2) }
        }
        return ProtobufWriter.message { request in
            request.message(at: 1) { perResource in
                perResource.message(resource, at: 1)
                perResource.message(scoped, at: 2)
            }
        }
    }
}

/// Something that travels as an item of an ``ExportRequest``.
package protocol TelemetryItem: Sendable {
    static var signal: TelemetrySignal { get }
    /// The item as a message of OTLP.
    var bytes: [UInt8] { get }
}
