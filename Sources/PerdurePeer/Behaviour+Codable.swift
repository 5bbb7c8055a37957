extension Behaviour: Codable {
    private enum Field: String, CodingKey, CaseIterable {
        case keys, delayMilliseconds, failAfterEffect, failBefore, dropAfterEffect, rateLimit, hold, down
    }

    private struct AnyField: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Reads a behaviour; a field left out has its default.
    ///
    /// A field the peer does not know is an error: a misspelt misfortune would make a test pass that tests nothing.
    package init(from decoder: any Decoder) throws {
        self.init()
        for field in try decoder.container(keyedBy: AnyField.self).allKeys where Field(rawValue: field.stringValue) == nil {
            let known = Field.allCases.map(\.rawValue).joined(separator: ", ")
            throw Problem.unprocessable("unknown field \"\(field.stringValue)\"; the fields are \(known)")
        }
        let fields = try decoder.container(keyedBy: Field.self)
        func count(_ field: Field) throws -> Int {
            let count = try fields.decodeIfPresent(Int.self, forKey: field) ?? 0
            guard (0...1_000_000).contains(count) else {
                throw Problem.unprocessable("\(field.rawValue) must be from 0 to 1000000, not \(count)")
            }
            return count
        }
        keys = try fields.decodeIfPresent(Keys.self, forKey: .keys) ?? keys
        delayMilliseconds = try count(.delayMilliseconds)
        failAfterEffect = try count(.failAfterEffect)
        failBefore = try count(.failBefore)
        dropAfterEffect = try count(.dropAfterEffect)
        rateLimit = try count(.rateLimit)
        hold = try fields.decodeIfPresent(Bool.self, forKey: .hold) ?? hold
        down = try fields.decodeIfPresent(Bool.self, forKey: .down) ?? down
    }

    /// Writes every field, also those at their default.
    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Field.self)
        try fields.encode(keys, forKey: .keys)
        try fields.encode(delayMilliseconds, forKey: .delayMilliseconds)
        try fields.encode(failAfterEffect, forKey: .failAfterEffect)
        try fields.encode(failBefore, forKey: .failBefore)
        try fields.encode(dropAfterEffect, forKey: .dropAfterEffect)
        try fields.encode(rateLimit, forKey: .rateLimit)
        try fields.encode(hold, forKey: .hold)
        try fields.encode(down, forKey: .down)
    }
}
