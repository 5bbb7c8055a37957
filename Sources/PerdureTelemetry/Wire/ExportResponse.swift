/// What a receiver answers to a request that it took: an `Export…ServiceResponse`.
package struct ExportResponse: Sendable, Hashable {
    /// How many items it did not take. They must not be sent again.
    package var rejected: Int64 = 0
    /// Why, or a warning where it took them all.
    package var message = ""

    package init(rejected: Int64 = 0, message: String = "") {
        self.rejected = rejected
        self.message = message
    }

    /// - Throws: If the bytes are no such message. Fields that are not known are passed over.
    package init(_ bytes: some Sequence<UInt8>) throws(ProtobufReader.Malformed) {
        for (field, value) in try ProtobufReader.fields(of: bytes) where field == 1 {
            guard let partial = value.bytes else { throw ProtobufReader.Malformed() }
            for (field, value) in try ProtobufReader.fields(of: partial) {
                if field == 1, let number = value.integer { rejected = max(0, number) }
                if field == 2, let text = value.text { message = text }
            }
        }
    }
}

/// What a receiver says of a request that it did not take: a `google.rpc.Status`.
package struct ErrorResponse: Sendable, Hashable {
    package var message = ""
    /// How long it wants to be left alone, if it says so (`google.rpc.RetryInfo`).
    package var retryDelay: Duration?

    package init(_ bytes: some Sequence<UInt8>) throws(ProtobufReader.Malformed) {
        for (field, value) in try ProtobufReader.fields(of: bytes) {
            if field == 2, let text = value.text { message = text }
            if field == 3, let detail = value.bytes, let delay = try Self.retryDelay(detail) { retryDelay = delay }
        }
    }

    /// Of a detail, which is a `google.protobuf.Any`.
    private static func retryDelay(_ detail: ArraySlice<UInt8>) throws(ProtobufReader.Malformed) -> Duration? {
        let fields = try ProtobufReader.fields(of: detail)
        guard fields.first(where: { $0.field == 1 })?.value.text?.hasSuffix("/google.rpc.RetryInfo") == true,
            let info = fields.first(where: { $0.field == 2 })?.value.bytes,
            let delay = try ProtobufReader.fields(of: info).first(where: { $0.field == 1 })?.value.bytes
        else { return nil }
        var duration = Duration.zero
        for (field, value) in try ProtobufReader.fields(of: delay) {
            guard let number = value.integer else { throw ProtobufReader.Malformed() }
            // Beyond an hour nothing changes, and nothing can overflow.
            if field == 1 { duration += .seconds(min(max(number, 0), 3_600)) }
            if field == 2 { duration += .nanoseconds(min(max(number, 0), 999_999_999)) }
        }
        return duration
    }
}
