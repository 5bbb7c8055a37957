internal import Crypto

/// A SHA-256 value held in place, so that a history of events allocates nothing for its hashes.
package struct EventHash: Hashable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64)

    /// Length in bytes.
    package static let byteCount = 32

    /// - Returns: nil unless there are exactly 32 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(thirtyTwo: bytes)
    }

    /// - Returns: nil unless `hex` is 64 hexadecimal digits.
    package init?(hex: String) {
        guard let bytes = Hex.decode(hex) else { return nil }
        self.init(bytes)
    }

    init(_ digest: SHA256.Digest) {
        words = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { target in digest.withUnsafeBytes { target.copyMemory(from: $0) } }
    }

    /// Copied as a whole: this is done for every event that is read, and byte by byte it took a tenth of a replay.
    private init(thirtyTwo bytes: some Collection<UInt8>) {
        words = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { target in
            if bytes.withContiguousStorageIfAvailable({ target.copyMemory(from: UnsafeRawBufferPointer($0)) }) == nil {
                for (index, byte) in bytes.enumerated() { target[index] = byte }
            }
        }
    }

    package var bytes: [UInt8] {
        withUnsafeBytes { Array($0) }
    }

    /// Lends the 32 bytes without copying them.
    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        Swift.withUnsafeBytes(of: words, body)
    }

    package static func == (left: EventHash, right: EventHash) -> Bool {
        left.words == right.words
    }

    package func hash(into hasher: inout Hasher) {
        withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension EventHash: CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    package var description: String {
        withUnsafeBytes { Hex.encode($0) }
    }
}
