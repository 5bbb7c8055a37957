internal import Crypto

/// An author's value as an event has it: the codec's bytes, or, where they are not at hand, what the hash chain knows of them.
///
/// A large value stands in a blob of its run, and the chain covers its digest and size instead of its bytes. So both forms of one large
/// value give the same hash, and a blob that was changed breaks the chain at its event.
package enum StoredValue: Hashable, Sendable {
    /// The bytes themselves, as the codec left them.
    case inline([UInt8])
    /// A large value without its bytes; `digest` is its SHA-256 and `size` its length in bytes.
    case spilled(digest: [UInt8], size: Int64)
}

extension StoredValue {
    /// The largest value, in bytes, that stands in its event's row and is hashed as it is: 64 KiB. Part of the format of histories.
    package static let inlineLimit = 65_536

    /// Length of the value in bytes, wherever it stands.
    package var size: Int64 {
        switch self {
        case .inline(let bytes): Int64(bytes.count)
        case .spilled(_, let size): size
        }
    }

    /// SHA-256 of the value.
    package var digest: [UInt8] {
        switch self {
        case .inline(let bytes): Array(SHA256.hash(data: bytes))
        case .spilled(let digest, _): digest
        }
    }

    /// Whether it stands in a blob.
    package var isLarge: Bool {
        switch self {
        case .inline(let bytes): bytes.count > Self.inlineLimit
        case .spilled: true
        }
    }
}
