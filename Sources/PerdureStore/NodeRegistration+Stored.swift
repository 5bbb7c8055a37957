import PerdureHistory

extension NodeRegistration {
    /// Name and version of each hosted workflow, as JSON: `[["greeting","1"]]`.
    package var hostedText: String {
        JSONValue.array(hosted.map { .array([.string($0.workflow), .string($0.version)]) }).canonicalText
    }

    /// Reads `hostedText`.
    package static func hosted(stored text: String) throws(BadRow) -> [ClaimRequest.Hosted] {
        guard let pairs = try? JSONValue.parse(Array(text.utf8), what: "what a node hosts").arrayValue else {
            throw BadRow("what a node hosts cannot be read: \(text)")
        }
        return try pairs.map { pair throws(BadRow) in
            let pair = pair.arrayValue?.compactMap(\.stringValue) ?? []
            guard pair.count == 2 else { throw BadRow("what a node hosts cannot be read: \(text)") }
            return ClaimRequest.Hosted(workflow: pair[0], version: pair[1])
        }
    }
}
