internal import Crypto

/// Bytes to be hashed, written as fields that cannot run into each other.
struct FieldBuffer {
    /// What kind of content a tagged field holds; stored in every hash, so never renumbered.
    enum Tag: UInt8 {
        case null = 0
        case integer = 1
        case text = 2
        case bytes = 3
        case spilled = 4
    }

    private var bytes: [UInt8] = []

    init(capacity: Int = 512) {
        bytes.reserveCapacity(capacity)
    }

    /// Empties the buffer and keeps its memory.
    mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
    }

    mutating func append(byte: UInt8) {
        bytes.append(byte)
    }

    mutating func append(_ hash: EventHash) {
        hash.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// Bytes without a length in front; only where their length is fixed.
    mutating func append(raw content: [UInt8]) {
        bytes.append(contentsOf: content)
    }

    /// Length (4 bytes, big endian) and UTF-8 bytes.
    mutating func append(prefixed text: String) {
        appendLength(text.utf8.count)
        bytes.append(contentsOf: text.utf8)
    }

    /// Length (4 bytes, big endian) and bytes.
    mutating func append(prefixed content: [UInt8]) {
        appendLength(content.count)
        bytes.append(contentsOf: content)
    }

    mutating func append(integer: Int64) {
        bytes.append(Tag.integer.rawValue)
        appendLength(8)
        appendBigEndian(integer)
    }

    mutating func append(text: String?) {
        guard let text else { return appendNull() }
        bytes.append(Tag.text.rawValue)
        append(prefixed: text)
    }

    mutating func append(value: StoredValue?) {
        switch value {
        case nil:
            appendNull()
        case .inline(let content) where content.count <= StoredValue.inlineLimit:
            bytes.append(Tag.bytes.rawValue)
            append(prefixed: content)
        case let large?:
            let digest = large.digest
            bytes.append(Tag.spilled.rawValue)
            appendLength(8 + digest.count)
            appendBigEndian(large.size)
            bytes.append(contentsOf: digest)
        }
    }

    func sha256() -> EventHash {
        // Not `hash(data:)`: it walks through any collection of regions, for what is one region here.
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return EventHash(hash.finalize())
    }

    private mutating func appendNull() {
        bytes.append(Tag.null.rawValue)
        appendLength(0)
    }

    private mutating func appendLength(_ count: Int) {
        // Values are limited to megabytes long before; clamping only keeps this total.
        withUnsafeBytes(of: UInt32(clamping: count).bigEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func appendBigEndian(_ value: Int64) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
