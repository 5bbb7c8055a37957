internal import Foundation

/// An address of the network, and how far it reaches.
enum IPAddress: Sendable, Hashable, CustomStringConvertible {
    case v4(UInt32)
    /// In the order of the network.
    case v6(high: UInt64, low: UInt64)

    enum Reach: Sendable, Hashable {
        case everywhere
        /// Of the machine itself.
        case machine
        /// Of a network that is somebody's own.
        case site
        /// Nobody is meant to be there, or everybody, or whoever looks after this machine: link-local addresses are those of the metadata
        /// services of clouds.
        case nowhere
    }

    /// Reads the usual notations only: four decimal numbers, or IPv6 without a zone.
    init?(_ text: String) {
        var four = in_addr(), six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(four)
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self.init(six)
        } else {
            return nil
        }
    }

    init(_ address: in_addr) { self = .v4(UInt32(bigEndian: address.s_addr)) }

    init(_ address: in6_addr) {
        let words = withUnsafeBytes(of: address) { bytes in
            (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        self = .v6(high: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1))
    }

    var description: String {
        switch self {
        case .v4(let bits): return [24, 16, 8, 0].map { String((bits >> $0) & 0xFF) }.joined(separator: ".")
        case .v6(let high, let low):
            return [high, low].flatMap { word in [48, 32, 16, 0].map { String((word >> UInt64($0)) & 0xFFFF, radix: 16) } }
                .joined(separator: ":")
        }
    }

    // MARK: Reach (the registries of special addresses of IANA)

    var reach: Reach {
        switch self {
        case .v4(let bits): Self.fours.first { bits >> (32 - $0.length) == $0.bits >> (32 - $0.length) }?.reach ?? .everywhere
        case .v6(let high, let low): Self.reach(high, low)
        }
    }

    private static let fours: [(bits: UInt32, length: UInt32, reach: Reach)] = [
        (0x0000_0000, 8, .nowhere), (0x0A00_0000, 8, .site),
        // Behind these, too, clouds keep credentials.
        (0x6464_64C8, 32, .nowhere), (0xA83F_8110, 32, .nowhere), (0x6440_0000, 10, .site), (0x7F00_0000, 8, .machine),
        (0xA9FE_0000, 16, .nowhere), (0xAC10_0000, 12, .site), (0xC000_0000, 24, .nowhere), (0xC000_0200, 24, .nowhere),
        (0xC058_6300, 24, .nowhere), (0xC0A8_0000, 16, .site), (0xC612_0000, 15, .nowhere), (0xC633_6400, 24, .nowhere),
        (0xCB00_7100, 24, .nowhere), (0xE000_0000, 4, .nowhere), (0xF000_0000, 4, .nowhere),
    ]

    private static func reach(_ high: UInt64, _ low: UInt64) -> Reach {
        if high == 0, low == 1 { return .machine }
        // One of IPv4 behind a translator; any other way to write one of IPv4 is nobody's honest address.
        if high == 0x0064_FF9B_0000_0000, low >> 32 == 0 {
            return IPAddress.v4(UInt32(truncatingIfNeeded: low)).reach == .everywhere ? .everywhere : .nowhere
        }
        if (high == 0xFD00_0EC2_0000_0000 || high == 0xFD20_00CE_0000_0000) && low == 0x254 { return .nowhere }
        if high >> 57 == 0xFC >> 1 { return .site }
        // Of what is given out for everybody (2000::/3) some is for protocols, tunnels and books.
        guard high >> 61 == 1 else { return .nowhere }
        let isSpecial =
            high >> 41 == 0x2001_0000 >> 9 || high >> 32 == 0x2001_0DB8 || high >> 48 == 0x2002 || high >> 44 == 0x3FFF0
        return isSpecial ? .nowhere : .everywhere
    }
}
