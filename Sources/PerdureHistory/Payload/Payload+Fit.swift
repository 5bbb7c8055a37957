extension Payload {
    /// Whether these recorded bytes are what `value` would be recorded as, giving today's type a second chance.
    /// - Throws: ``PayloadError/notEncodable(what:path:reason:)`` if `value` itself cannot be written.
    package func fits<T: Codable>(_ value: T, what: String = "the value") throws(PayloadError) -> InputFit {
        try fits(Payload.encode(value, limit: .max, what: what), as: T.self)
    }

    /// The same for a value that is already encoded; `type` is the type it was encoded from.
    package func fits<T: Codable>(_ asked: Payload, as type: T.Type) -> InputFit {
        if self == asked { return .identical }
        // Recorded bytes that today's type cannot read, or that it cannot write again, simply do not fit.
        guard let decoded = try? decode(type, what: ""),
            let again = try? Payload.encode(decoded, limit: .max, what: "")
        else { return .different }
        return again == asked ? .equivalentAfterDecoding : .different
    }

    /// The first place where recorded bytes and `asked` differ, as a sentence's part; see ``JSONValue/firstDifference(_:_:)``.
    /// - Returns: nil if they do not differ, or if either is not JSON.
    package func firstDifference(from asked: Payload) -> String? {
        guard let recorded = try? json(what: ""), let wanted = try? asked.json(what: "") else { return nil }
        return JSONValue.firstDifference(recorded, wanted)
    }
}
