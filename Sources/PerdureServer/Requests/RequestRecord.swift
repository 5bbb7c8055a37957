internal import HTTPTypes
internal import Perdure
internal import PerdureHistory

/// What is kept of a request that was made under an `Idempotency-Key`: what it asked for, and what it was answered once it was.
struct RequestRecord: Sendable, Hashable {
    /// Tells requests apart: the operation, its address and its body.
    let digest: String
    /// Of the process and the call that work on it.
    let owner: String
    let begun: Timestamp
    var answer: RecordedAnswer?

    init(digest: String, owner: String, begun: Timestamp) {
        self.digest = digest
        self.owner = owner
        self.begun = begun
    }

    // MARK: As the store keeps it

    var value: [UInt8] {
        var members: JSONObject = [
            "digest": .string(digest), "owner": .string(owner), "begun": .integer(begun.microseconds),
        ]
        if let answer {
            members["status"] = JSONValue(answer.status)
            members["body"] = answer.body
            members["location"] = answer.location.map(JSONValue.string)
        }
        return JSONValue.object(members).canonicalBytes
    }

    /// nil for what no release has written.
    init?(_ value: [UInt8]) {
        guard let json = try? JSONValue.parse(value, what: "a record"), let digest = json["digest"]?.stringValue,
            let owner = json["owner"]?.stringValue, let begun = json["begun"]?.integerValue
        else { return nil }
        self.init(digest: digest, owner: owner, begun: Timestamp(microseconds: begun))
        if let status = json["status"]?.integerValue, let body = json["body"] {
            answer = RecordedAnswer(status: Int(status), body: body, location: json["location"]?.stringValue)
        }
    }
}

/// An answer that is given again.
struct RecordedAnswer: Sendable, Hashable {
    let status: Int
    let body: JSONValue
    let location: String?
}
