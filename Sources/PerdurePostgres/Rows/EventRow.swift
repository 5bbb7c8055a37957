internal import PerdureHistory
internal import PerdureStore

extension Event {
    static let columns = """
        events.seq, events.at, events.kind, events.subject, events.attributes, \(value("input")), events.input_size,
        \(value("output")), events.output_size, events.codec, events.key_id, events.hash
        """

    /// A large value is fetched from its blob.
    private static func value(_ column: String) -> String {
        """
        CASE WHEN events.\(column)_size IS NULL THEN events.\(column)
            ELSE (SELECT content FROM perdure.blobs WHERE blobs.run = events.run AND blobs.digest = events.\(column)) END AS \(column)
        """
    }

    // The compiler's own search compares one name after the other.
    private static let kinds = Dictionary(uniqueKeysWithValues: EventKind.allCases.map { ($0.rawValue, $0) })

    /// Reads ``columns``. `run` is only for the message.
    init(_ row: Row, run: Int64, from column: Int32 = 0) throws(BadRow) {
        let seq = try row.integer(column)
        do throws(BadRow) {
            let name = try row.text(column + 2)
            guard let kind = Self.kinds[name] else { throw BadRow("its kind '\(name)' is unknown", isFromLater: true) }
            let codecNumber = try row.integer(column + 9)
            guard let codec = UInt8(exactly: codecNumber).flatMap(PayloadCodec.init(rawValue:)) else {
                throw BadRow("its codec \(codecNumber) is unknown", isFromLater: (0...255).contains(codecNumber))
            }
            self.init(
                seq: seq, at: try row.time(column + 1), kind: kind, subject: try row.text(column + 3),
                attributes: Attributes(storedText: try row.text(column + 4)), input: try StoredValue(row, column + 5),
                output: try StoredValue(row, column + 7), codec: codec, keyID: try row.optionalText(column + 10),
                hash: try row.hash(column + 11))
        } catch {
            throw BadRow("event \(seq) of run number \(run): \(error)", isFromLater: error.isFromLater)
        }
    }
}

extension StoredValue {
    /// A value and, in the next column, the size of a large one. Whether a large one is what was recorded, the chain tells.
    fileprivate init?(_ row: Row, _ column: Int32) throws(BadRow) {
        let size = try row.optionalInteger(column + 1)
        guard let bytes = try row.optionalBytes(column) else {
            if size == nil { return nil }
            throw BadRow("its large value is not in the store")
        }
        if let size, size != bytes.count {
            throw BadRow("its large value has \(bytes.count) bytes, but \(size) were recorded")
        }
        self = .inline(bytes)
    }
}
