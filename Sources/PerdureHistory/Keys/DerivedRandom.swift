package import Foundation

/// The random values of a run: unguessable without its salt, and the same on every replay.
///
/// A value belongs to a subject, never to a place in a sequence, so that the order of calls cannot change it.
package struct DerivedRandom: Hashable, Sendable {
    private let salt: [UInt8]

    /// - Parameter salt: the run's random salt, as stored.
    package init(salt: [UInt8]) {
        self.salt = salt
    }

    /// A number uniform over all of `UInt64`.
    package func uint64(_ subject: String) -> UInt64 {
        digest("perdure.random.uint64.1", subject).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A UUID of version 8 (RFC 9562: made by a rule of our own) with 122 derived bits.
    package func uuid(_ subject: String) -> UUID {
        let digest = digest("perdure.random.uuid.1", subject)
        return UUID(
            uuid: (
                digest[0], digest[1], digest[2], digest[3], digest[4], digest[5],
                digest[6] & 0x0F | 0x80, digest[7], digest[8] & 0x3F | 0x80, digest[9],
                digest[10], digest[11], digest[12], digest[13], digest[14], digest[15]
            ))
    }

    private func digest(_ domain: String, _ subject: String) -> [UInt8] {
        var buffer = FieldBuffer(capacity: 128)
        buffer.append(prefixed: domain)
        buffer.append(prefixed: salt)
        buffer.append(prefixed: subject)
        return buffer.sha256().bytes
    }
}
