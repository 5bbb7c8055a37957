internal import Crypto
internal import Foundation
internal import PerdureHistory

/// A secret that webhooks are signed with, in the form of Standard Webhooks: `whsec_` and its bytes in base64. Printed it is `•••`.
struct HookSecret: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    private static let prefix = "whsec_"
    private static let size = 32

    let bytes: [UInt8]

    static func random() -> HookSecret {
        var generator = SystemRandomNumberGenerator()
        return HookSecret(bytes: (0..<size).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// - Returns: nil for anything but `whsec_` and the base64 of 24 to 64 bytes.
    init?(_ text: String) {
        guard text.hasPrefix(Self.prefix), let data = Data(base64Encoded: String(text.dropFirst(Self.prefix.count))),
            (24...64).contains(data.count)
        else { return nil }
        bytes = Array(data)
    }

    /// What is shown once, and kept in the store.
    var text: String { Self.prefix + Data(bytes).base64EncodedString() }

    var description: String { "•••" }
    var customMirror: Mirror { Mirror(self, children: []) }
}

/// The secret of an endpoint or a hook, and those that it had before and that still hold.
struct HookSecrets: Sendable, Hashable {
    struct Earlier: Sendable, Hashable {
        let secret: HookSecret
        let until: Timestamp
    }

    /// How long the old one holds beside the new one.
    static let overlap = Duration.seconds(86_400)
    /// How many old ones may hold at once.
    private static let mostEarlier = 5

    private(set) var current: HookSecret
    private(set) var earlier: [Earlier] = []
    private(set) var rotatedAt: Timestamp?
    /// What names the request for the current one.
    private var request: String?

    init(_ current: HookSecret) { self.current = current }

    /// The newest first.
    func holding(at now: Timestamp) -> [HookSecret] {
        [current] + earlier.reversed().filter { now < $0.until }.map(\.secret)
    }

    /// - Parameter request: Names who asks for it: the same request again changes nothing.
    /// - Returns: False, and nothing is changed, if too many old ones hold still.
    mutating func rotate(to secret: HookSecret, at now: Timestamp, for request: String? = nil) -> Bool {
        if let request, request == self.request { return true }
        earlier.removeAll { now >= $0.until }
        guard earlier.count < Self.mostEarlier else { return false }
        earlier.append(Earlier(secret: current, until: now + Self.overlap))
        current = secret
        rotatedAt = now
        self.request = request
        return true
    }

    // MARK: As the store keeps it

    var json: JSONValue {
        var members: JSONObject = [
            "current": .string(current.text),
            "earlier": .array(
                earlier.map { ["secret": .string($0.secret.text), "until": .integer($0.until.microseconds)] }),
        ]
        members["rotated"] = rotatedAt.map { .integer($0.microseconds) }
        members["request"] = request.map(JSONValue.string)
        return .object(members)
    }

    init?(_ json: JSONValue?) {
        guard let json, let current = json["current"]?.stringValue.flatMap({ HookSecret($0) }) else { return nil }
        self.current = current
        for one in json["earlier"]?.arrayValue ?? [] {
            guard let secret = one["secret"]?.stringValue.flatMap({ HookSecret($0) }), let until = one["until"]?.integerValue
            else {
                return nil
            }
            earlier.append(Earlier(secret: secret, until: Timestamp(microseconds: until)))
        }
        request = json["request"]?.stringValue
        rotatedAt = json["rotated"]?.integerValue.map(Timestamp.init(microseconds:))
    }
}
