/// Digests of authors' values for `attributes`: without the run's salt nobody can guess the value from them.
package enum SaltedDigest {
    /// SHA-256(salt ‖ canonical bytes) as 64 hexadecimal digits. All salts of a store have the same length, which is why none
    /// stands in front.
    package static func hex(salt: [UInt8], canonicalBytes: [UInt8]) -> String {
        Hex.encode(bytes(salt: salt, canonicalBytes: canonicalBytes))
    }

    /// The same as 32 bytes.
    package static func bytes(salt: [UInt8], canonicalBytes: [UInt8]) -> [UInt8] {
        var buffer = FieldBuffer(capacity: salt.count + canonicalBytes.count)
        buffer.append(raw: salt)
        buffer.append(raw: canonicalBytes)
        return buffer.sha256().bytes
    }

    /// SHA-256 of bytes alone: the digest of a spilled value.
    package static func plain(_ bytes: [UInt8]) -> [UInt8] {
        var buffer = FieldBuffer(capacity: bytes.count)
        buffer.append(raw: bytes)
        return buffer.sha256().bytes
    }
}
