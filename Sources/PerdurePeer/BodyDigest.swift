/// A digest of what a request asks for, to tell a repeated request from another one under the same key.
///
/// It covers the meaning (operation, resource, fields in a fixed order), not the bytes: two encoders may order
/// the members of a JSON object differently. FNV-1a is enough here, since nobody attacks the peer.
package struct BodyDigest: Equatable, Sendable, CustomStringConvertible {
    private var state: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

    /// Digests the parts, each with its length, so that moving a character between two parts is another digest.
    package init(_ parts: [String]) {
        for part in parts {
            add(String(part.utf8.count).utf8)
            add(CollectionOfOne(UInt8(ascii: ":")))
            add(part.utf8)
        }
    }

    private mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes {
            state ^= UInt128(byte)
            state &*= (1 << 88) + 0x13b
        }
    }

    /// 32 hexadecimal digits.
    package var description: String {
        let digits = String(state, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}
