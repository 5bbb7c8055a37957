/// A name and a value that belong to a span, a metric's point, a log record or the process that they come from: `KeyValue` of OTLP.
package struct TelemetryAttribute: Sendable, Hashable {
    package enum Value: Sendable, Hashable {
        case string(String)
        case bool(Bool)
        case int(Int64)
        case double(Double)
    }

    package var key: String
    package var value: Value

    package init(_ key: String, _ value: Value) {
        self.key = key
        self.value = value
    }

    package init(_ key: String, _ text: String) { self.init(key, .string(text)) }
}

extension ProtobufWriter {
    package mutating func attributes(_ attributes: [TelemetryAttribute], at field: Int) {
        for attribute in attributes {
            message(at: field) { pair in
                pair.string(attribute.key, at: 1)
                pair.value(attribute.value, at: 2)
            }
        }
    }

    /// An `AnyValue`: which of its members is there says what it is, so none is left out.
    package mutating func value(_ value: TelemetryAttribute.Value, at field: Int) {
        message(at: field) { any in
            switch value {
            case .string(let text): any.string(text, at: 1, evenIfEmpty: true)
            case .bool(let bool): any.varint(bool ? 1 : 0, at: 2, evenIfZero: true)
            case .int(let number): any.varint(UInt64(bitPattern: number), at: 3, evenIfZero: true)
            case .double(let number): any.double(number, at: 4, evenIfZero: true)
            }
        }
    }
}
