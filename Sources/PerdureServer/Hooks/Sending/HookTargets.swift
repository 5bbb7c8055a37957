internal import Foundation
internal import PerdureHistory

/// Where webhooks may go: nobody who makes an endpoint is to reach through this process what he could not reach himself.
package struct HookTargets: Sendable, Hashable {
    /// Services on this machine, also without TLS.
    let allowsMachine: Bool
    /// Networks that are not everybody's, also without TLS.
    let allowsSite: Bool

    /// Everybody's network, with TLS.
    package static let everybodys = HookTargets(allowsMachine: false, allowsSite: false)
    /// That, and what runs on this machine: for one person at a desk.
    package static let desk = HookTargets(allowsMachine: true, allowsSite: false)
    /// All that, and networks that are somebody's own.
    package static let alsoPrivate = HookTargets(allowsMachine: true, allowsSite: true)

    func allows(_ address: IPAddress) -> Bool {
        switch address.reach {
        case .everywhere: true
        case .machine: allowsMachine
        case .site: allowsSite
        case .nowhere: false
        }
    }

    /// Those of the addresses of a name that may be connected to.
    func allowed(_ addresses: [IPAddress], for address: HookAddress) -> [IPAddress] {
        addresses.filter { allows($0) && (address.isEncrypted || allowsSite || $0.reach == .machine) }
    }
}

/// The address of an endpoint in parts, of which the same text is made again: whoever connects reads exactly what was checked.
struct HookAddress: Sendable, Hashable {
    struct Refusal: Error {
        let wish: String
        init(_ wish: String) { self.wish = wish }
    }

    static let longest = 2_000

    let isEncrypted: Bool
    /// In small letters; without brackets.
    let host: String
    let port: Int
    /// Path and query.
    let rest: String

    /// The host, if it is no name.
    var literal: IPAddress? { IPAddress(host) }

    var text: String {
        let place = host.contains(":") ? "[\(host)]" : host
        let standard = port == (isEncrypted ? 443 : 80)
        return "\(isEncrypted ? "https" : "http")://\(place)\(standard ? "" : ":\(port)")\(rest)"
    }

    /// - Throws: `Refusal`.
    init(_ text: String) throws(Refusal) {
        guard text.utf8.count <= Self.longest, text.utf8.allSatisfy(Self.isAddressByte) else {
            throw Refusal("has to be an address of at most \(Self.longest) ASCII characters, others percent-encoded")
        }
        let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, ["https", "http"].contains(parts[0].lowercased()) else {
            throw Refusal("has to begin with https://")
        }
        isEncrypted = parts[0].lowercased() == "https"
        let end = parts[1].firstIndex { "/?".contains($0) } ?? parts[1].endIndex
        let authority = parts[1][..<end].lowercased()
        let tail = parts[1][end...]
        rest = tail.hasPrefix("/") ? String(tail) : "/" + tail
        guard let (host, port) = Self.place(authority, standard: isEncrypted ? 443 : 80),
            URL(string: "x:" + rest, encodingInvalidCharacters: false) != nil
        else {
            throw Refusal("has to name a host, and perhaps a port, and neither user nor fragment")
        }
        self.host = host
        self.port = port
    }

    /// What can be told without asking for the addresses of a name.
    ///
    /// - Throws: `Refusal`.
    func check(_ targets: HookTargets) throws(Refusal) {
        let isMachine = literal.map { $0.reach == .machine } ?? (host == "localhost")
        guard isEncrypted || targets.allowsSite || (targets.allowsMachine && isMachine) else {
            throw Refusal("has to begin with https://")
        }
        if isMachine, !targets.allowsMachine { throw Refusal("leads to this machine, which is not allowed here") }
        if let literal, !targets.allows(literal) { throw Refusal("leads to an address that is not everybody's") }
    }

    private static func place(_ authority: String, standard: Int) -> (host: String, port: Int)? {
        var host = authority[...], port = standard
        let closing = authority.lastIndex(of: "]")
        if let colon = authority.lastIndex(of: ":"), closing.map({ $0 < colon }) ?? true {
            let digits = authority[authority.index(after: colon)...]
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(digits), number > 0 else {
                return nil
            }
            port = Int(number)
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            guard case .v6? = IPAddress(String(host.dropFirst().dropLast())) else { return nil }
            return (String(host.dropFirst().dropLast()), port)
        }
        let isName =
            host.utf8.count <= 253
            && host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { (1...63).contains($0.utf8.count) }
            && host.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
            }
        return isName ? (String(host), port) : nil
    }

    /// Those of RFC 3986 but the one that begins a fragment; a user is refused by what a host may have.
    private static func isAddressByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~:/?[]@!$&'()*+,;=%".utf8.contains(byte)
        }
    }
}
