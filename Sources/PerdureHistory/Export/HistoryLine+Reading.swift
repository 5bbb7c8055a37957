/// Why a line of a file of histories cannot be taken.
package struct HistoryLineError: Error, Hashable, Sendable {
    /// Number of the line, from 1.
    package var line: Int
    /// What is wrong with it, as the rest of a sentence that names file and line.
    package var reason: String
    /// A later release has written it, and can read it.
    package var isFromLater: Bool

    package init(line: Int, _ reason: String, isFromLater: Bool = false) {
        self.line = line
        self.reason = reason
        self.isFromLater = isFromLater
    }
}

extension HistoryLine {
    /// Reads one line.
    ///
    /// Members that this release does not know are passed over; lines, kinds and codecs that it does not know are refused.
    /// - Parameter number: Its number in the file, for the error.
    package init(_ bytes: [UInt8], number: Int) throws(HistoryLineError) {
        let fields = try Self.fields(bytes, number)
        switch try fields.text("line") {
        case "file": self = .file(try File(fields))
        case "run": self = .run(try ExportedRun(fields))
        case "event": self = .event(try Event(fields))
        case "run_end":
            self = .runEnd(
                RunEnd(
                    events: Int(clamping: try fields.integer("events")), hash: try fields.hash("hash"),
                    broken: try fields.optionalText("broken")))
        case "file_end": self = .fileEnd(runs: Int(clamping: try fields.integer("runs")))
        case let other: throw fields.later("it is a line of a kind that this release does not know: '\(other)'")
        }
    }

    private static func fields(_ bytes: [UInt8], _ number: Int) throws(HistoryLineError) -> Fields {
        let value: JSONValue
        do throws(PayloadError) {
            value = try JSONValue.parse(bytes)
        } catch {
            guard case .notDecodable(_, _, _, let reason) = error else { throw HistoryLineError(line: number, "it is not JSON") }
            throw HistoryLineError(line: number, "it is not JSON: \(reason)")
        }
        guard case .object(let object) = value else { throw HistoryLineError(line: number, "it is not a JSON object") }
        return Fields(object: object, line: number)
    }
}

/// The members of one line.
private struct Fields {
    let object: JSONObject
    let line: Int

    func wrong(_ reason: String) -> HistoryLineError { HistoryLineError(line: line, reason) }
    func later(_ reason: String) -> HistoryLineError { HistoryLineError(line: line, reason, isFromLater: true) }

    /// A member that is null counts as left out.
    private func member(_ name: String) -> JSONValue? { object[name].flatMap { $0 == JSONValue.null ? nil : $0 } }

    func optionalText(_ name: String) throws(HistoryLineError) -> String? {
        guard let value = member(name) else { return nil }
        guard let text = value.stringValue else { throw wrong("its member '\(name)' is not a text") }
        return text
    }

    func text(_ name: String) throws(HistoryLineError) -> String {
        guard let text = try optionalText(name) else { throw wrong("its member '\(name)' is missing") }
        return text
    }

    func optionalInteger(_ name: String) throws(HistoryLineError) -> Int64? {
        guard let value = member(name) else { return nil }
        guard let integer = value.integerValue else { throw wrong("its member '\(name)' is not an integer of 64 bits") }
        return integer
    }

    func integer(_ name: String) throws(HistoryLineError) -> Int64 {
        guard let integer = try optionalInteger(name) else { throw wrong("its member '\(name)' is missing") }
        return integer
    }

    func optionalTime(_ name: String) throws(HistoryLineError) -> Timestamp? {
        try optionalInteger(name).map { Timestamp(microseconds: $0) }
    }

    func hash(_ name: String) throws(HistoryLineError) -> EventHash {
        guard let hash = EventHash(hex: try text(name)) else { throw wrong("its member '\(name)' is not 64 hexadecimal digits") }
        return hash
    }

    func optionalBytes(_ name: String) throws(HistoryLineError) -> [UInt8]? {
        guard let text = try optionalText(name) else { return nil }
        guard let bytes = Hex.decode(text) else { throw wrong("its member '\(name)' is not made of hexadecimal digits") }
        return bytes
    }

    func optionalObject(_ name: String) throws(HistoryLineError) -> Fields? {
        guard let value = member(name) else { return nil }
        guard let object = value.objectValue else { throw wrong("its member '\(name)' is not an object") }
        return Fields(object: object, line: line)
    }

    /// A value stands as text, as hexadecimal digits, or, where it was left out, as digest and size.
    func value(_ name: String) throws(HistoryLineError) -> StoredValue? {
        guard let fields = try optionalObject(name) else { return nil }
        if let text = try fields.optionalText("text") { return .inline(Array(text.utf8)) }
        if let bytes = try fields.optionalBytes("hex") { return .inline(bytes) }
        guard let digest = try fields.optionalBytes("digest"), digest.count == EventHash.byteCount else {
            throw wrong("its member '\(name)' has neither 'text' nor 'hex' nor a 'digest' of 64 hexadecimal digits")
        }
        let size = try fields.integer("size")
        guard size > Int64(StoredValue.inlineLimit) else { throw wrong("its member '\(name)' is too small to be left out") }
        return .spilled(digest: digest, size: size)
    }
}

extension HistoryLine.File {
    fileprivate init(_ fields: Fields) throws(HistoryLineError) {
        let format = try fields.text("format"), version = try fields.integer("version")
        guard format == HistoryLine.format else { throw fields.wrong("its format is '\(format)', not \(HistoryLine.format)") }
        guard version >= 1 else { throw fields.wrong("its version is \(version), and there is no such version") }
        guard version <= HistoryLine.version else {
            throw fields.later("its format is of version \(version), and this release reads up to version \(HistoryLine.version)")
        }
        self.init(
            store: try fields.text("store"), exportedAt: Timestamp(microseconds: try fields.integer("exported_at")))
    }
}

extension ExportedRun {
    fileprivate init(_ fields: Fields) throws(HistoryLineError) {
        var expired: Expired?
        if let fields = try fields.optionalObject("expired") {
            expired = Expired(
                at: Timestamp(microseconds: try fields.integer("at")), lastSeq: try fields.integer("last_seq"),
                lastHash: try fields.hash("last_hash"))
        }
        self.init(
            id: try fields.text("run"), namespace: try fields.text("namespace"), workflow: try fields.text("workflow"),
            version: try fields.text("version"), key: try fields.optionalText("key"), state: try fields.text("state"),
            epoch: try fields.integer("epoch"), inputDigest: try fields.text("input_digest"),
            salt: try fields.optionalBytes("salt"),
            createdAt: Timestamp(microseconds: try fields.integer("created_at")), closedAt: try fields.optionalTime("closed_at"),
            note: try fields.optionalText("note"), successor: try fields.optionalText("successor"), expired: expired,
            isOrphaned: fields.object["orphaned"]?.boolValue ?? false)
    }
}

extension Event {
    fileprivate init(_ fields: Fields) throws(HistoryLineError) {
        let kind = try fields.text("kind"), codec = try fields.integer("codec")
        guard let kind = EventKind(rawValue: kind) else {
            throw fields.later("it is an event of a kind that this release does not know: '\(kind)'")
        }
        guard let codec = UInt8(exactly: codec).flatMap(PayloadCodec.init) else {
            throw fields.later("its values are written in a way that this release does not know: codec \(codec)")
        }
        self.init(
            seq: try fields.integer("seq"), at: Timestamp(microseconds: try fields.integer("at")), kind: kind,
            subject: try fields.text("subject"), attributes: Attributes(storedText: try fields.text("attributes")),
            input: try fields.value("input"), output: try fields.value("output"), codec: codec,
            keyID: try fields.optionalText("key_id"), hash: try fields.hash("hash"))
    }
}
