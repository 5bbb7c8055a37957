/// How an author's value is written as bytes. The numbers are stored and hashed: extend, never reuse.
package enum PayloadCodec: UInt8, Hashable, Sendable, CaseIterable {
    /// JSON in the canonical form of ``JSONValue/canonicalBytes``, not encrypted.
    case canonicalJSON = 1
}
