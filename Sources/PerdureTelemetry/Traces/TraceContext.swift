internal import PerdureHistory

/// A place in a trace as it travels from one process to another: W3C Trace Context, level 2.
package struct TraceContext: Sendable, Hashable {
    package var traceID: TraceID
    package var spanID: SpanID
    /// Bit 0: the trace is recorded. Bit 1: the last 7 bytes of the trace id are random. Others are passed on as they came.
    package var flags: UInt8
    /// What systems on the way have added: a valid `tracestate`, as it came.
    package var state: String

    static let sampled: UInt8 = 0x01, random: UInt8 = 0x02

    package init(traceID: TraceID, spanID: SpanID, flags: UInt8 = 0x03, state: String = "") {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
        self.state = state
    }

    /// Reads the two headers.
    ///
    /// - Parameters:
    ///   - traceparent: Its only value.
    ///   - tracestate: Its values, in their order; they may be several. If they are not valid, they alone are dropped.
    /// - Returns: nil if `traceparent` is not valid: a new trace begins.
    package init?(traceparent: String, tracestate: [String] = []) {
        let bytes = Array(traceparent.utf8)
        guard bytes.count >= 55, [2, 35, 52].allSatisfy({ bytes[$0] == UInt8(ascii: "-") }),
            let version = Self.lowerHex(bytes[0..<2])?.first, version != 0xFF,
            // A later version may say more, behind another hyphen.
            bytes.count == 55 || (version > 0 && bytes[55] == UInt8(ascii: "-")),
            let traceID = Self.lowerHex(bytes[3..<35]).flatMap(TraceID.init),
            let spanID = Self.lowerHex(bytes[36..<52]).flatMap(SpanID.init),
            let flags = Self.lowerHex(bytes[53..<55])?.first
        else { return nil }
        // Of a later version only these two flags are known.
        self.init(
            traceID: traceID, spanID: spanID, flags: version == 0 ? flags : flags & (Self.sampled | Self.random),
            state: TraceState.joined(tracestate) ?? "")
    }

    /// The header's value, in version 00.
    package var traceparent: String { "00-\(traceID)-\(spanID)-\(Hex.encode([flags]))" }

    private static func lowerHex(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else { return nil }
        return Hex.decode(String(decoding: digits, as: UTF8.self))
    }
}

/// The rules of the header `tracestate`.
enum TraceState {
    private static let mostMembers = 32, mostCharacters = 512, longMember = 128

    /// One list of several headers; nil if it is not valid. What is longer than has to be passed on loses long members first, then the
    /// last ones.
    static func joined(_ headers: [String]) -> String? {
        let members = headers.flatMap { $0.split(separator: ",") }.map(trimmed).filter { !$0.isEmpty }
        let keys = members.map { $0.prefix { $0 != "=" } }
        guard members.count <= mostMembers, Set(keys).count == keys.count, members.allSatisfy(isMember) else { return nil }
        var kept = members
        if length(kept) > mostCharacters { kept.removeAll { $0.utf8.count > longMember } }
        while length(kept) > mostCharacters { kept.removeLast() }
        return kept.joined(separator: ",")
    }

    private static func length(_ members: [Substring]) -> Int { members.reduce(members.count - 1) { $0 + $1.utf8.count } }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.utf8.first, first == 0x20 || first == 0x09 { text = text.dropFirst() }
        while let last = text.utf8.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
        return text
    }

    private static func isMember(_ member: Substring) -> Bool {
        guard let equals = member.utf8.firstIndex(of: UInt8(ascii: "=")) else { return false }
        let value = member.utf8[member.utf8.index(after: equals)...]
        return isKey(Array(member.utf8[..<equals])) && (1...256).contains(value.count) && value.last != 0x20
            && value.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "=") }
    }

    private static func isKey(_ key: [UInt8]) -> Bool {
        guard let first = key.first, (1...256).contains(key.count) else { return false }
        func isLetterOrDigit(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        let others = Set("_-*/@".utf8)
        return isLetterOrDigit(first) && key.allSatisfy { isLetterOrDigit($0) || others.contains($0) }
    }
}
