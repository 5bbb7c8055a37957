/// An author's value as an event's row holds it: the codec's bytes, or a pointer to a blob of the same run.
package enum StoredValue: Hashable, Sendable {
    /// The bytes themselves, as the codec left them.
    case inline([UInt8])
    /// The value stands in a blob of the same run; `digest` is its SHA-256 and `size` its length in bytes.
    case spilled(digest: [UInt8], size: Int64)
}

extension StoredValue {
    /// Length of the value in bytes, wherever it stands.
    package var size: Int64 {
        switch self {
        case .inline(let bytes): Int64(bytes.count)
        case .spilled(_, let size): size
        }
    }
}
