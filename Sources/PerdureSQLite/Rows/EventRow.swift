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
            ELSE (SELECT content FROM blobs WHERE blobs.run = events.run AND blobs.digest = events.\(column)) END AS \(column)
        """
    }

    private static let insertBlob = SQL("INSERT OR IGNORE INTO blobs (run, digest, content) VALUES (?1, ?2, ?3)")

    /// Written for every event, so bound by hand.
    static let insert = SQL(
        """
        INSERT INTO events (run, seq, at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
        """)

    func insert(into session: Session, run: Int64) throws {
        try spill(input, session, run: run)
        try spill(output, session, run: run)
        let statement = try session.prepared(Self.insert)
        try statement.bind(1, run)
        try statement.bind(2, seq)
        try statement.bind(3, at.microseconds)
        try statement.bind(4, kind.rawValue)
        try statement.bind(5, subject)
        try statement.bind(6, attributes.text)
        try bind(input, to: statement, at: 7)
        try bind(output, to: statement, at: 9)
        try statement.bind(11, Int64(codec.rawValue))
        try statement.bind(12, keyID)
        let bound = hash.withUnsafeBytes { bytes in Result { () throws(SQLFailure) in try statement.bindBlob(13, bytes) } }
        try bound.get()
        _ = try statement.step()
    }

    /// The bytes, or for a large value its digest with the size beside it.
    private func bind(_ value: StoredValue?, to statement: Statement, at index: Int32) throws {
        switch value {
        case nil:
            try statement.bindNull(index)
            try statement.bindNull(index + 1)
        case .inline(let bytes) where bytes.count <= StoredValue.inlineLimit:
            try statement.bind(index, payload: bytes, readable: codec == .canonicalJSON)
            try statement.bindNull(index + 1)
        case let large?:
            try statement.bindBlob(index, large.digest)
            try statement.bind(index + 1, large.size)
        }
    }

    /// Puts a large value where the row only points to. A run keeps a value once; two runs never share one.
    private func spill(_ value: StoredValue?, _ session: Session, run: Int64) throws {
        guard let value, value.isLarge else { return }
        guard case .inline(let bytes) = value else { throw BadRow("a value of event \(seq) has no bytes that could be stored") }
        let statement = try session.prepared(Self.insertBlob)
        try statement.bind(1, run)
        try statement.bindBlob(2, value.digest)
        try statement.bind(3, payload: bytes, readable: codec == .canonicalJSON)
        _ = try statement.step()
    }

    /// Reads ``columns``. `run` is only for the message.
    init(_ row: Statement, run: Int64, from column: Int32 = 0) throws(BadRow) {
        var likeness = EventLikeness()
        try self.init(row, run: run, from: column, &likeness)
    }

    /// The same where many rows are read one after the other.
    init(_ row: Statement, run: Int64, from column: Int32 = 0, _ likeness: inout EventLikeness) throws(BadRow) {
        let seq = try row.integer(column)
        do throws(BadRow) {
            let kind = try likeness.kind(row, column + 2)
            let codecNumber = try row.integer(column + 9)
            guard let codec = UInt8(exactly: codecNumber).flatMap(PayloadCodec.init(rawValue:)) else {
                throw BadRow("its codec \(codecNumber) is unknown", isFromLater: (0...255).contains(codecNumber))
            }
            self.init(
                seq: seq, at: Timestamp(microseconds: try row.integer(column + 1)), kind: kind, subject: try row.text(column + 3),
                attributes: try likeness.attributes(row, column + 4), input: try StoredValue(row, column + 5),
                output: try StoredValue(row, column + 7), codec: codec, keyID: try row.optionalText(column + 10),
                hash: try EventHash(row, column + 11))
        } catch {
            throw BadRow("event \(seq) of run number \(run): \(error)", isFromLater: error.isFromLater)
        }
    }
}

/// What an event often shares with the one before: most of a long history is of one kind and has the same attributes. Then nothing is
/// looked up and no text is made.
struct EventLikeness {
    private var lastKind: EventKind?
    private var lastAttributes = Attributes.none

    // The compiler's own search compares one name after the other.
    private static let kinds = Dictionary(uniqueKeysWithValues: EventKind.allCases.map { ($0.rawValue, $0) })

    mutating func kind(_ row: Statement, _ column: Int32) throws(BadRow) -> EventKind {
        if let lastKind, row.isText(column, lastKind.rawValue) { return lastKind }
        let name = try row.text(column)
        guard let kind = Self.kinds[name] else { throw BadRow("its kind '\(name)' is unknown", isFromLater: true) }
        lastKind = kind
        return kind
    }

    mutating func attributes(_ row: Statement, _ column: Int32) throws(BadRow) -> Attributes {
        if row.isText(column, lastAttributes.text) { return lastAttributes }
        lastAttributes = Attributes(storedText: try row.text(column))
        return lastAttributes
    }
}

extension StoredValue {
    /// A value and, in the next column, the size of a large one. Whether a large one is what was recorded, the chain tells.
    fileprivate init?(_ row: Statement, _ column: Int32) throws(BadRow) {
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

extension EventHash {
    init(_ row: Statement, _ column: Int32) throws(BadRow) {
        let hash = try row.withBytes(column) { EventHash($0) }
        guard let hash else { throw BadRow("its hash is not 32 bytes long") }
        self = hash
    }
}
