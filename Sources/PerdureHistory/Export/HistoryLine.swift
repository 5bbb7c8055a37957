/// One line of a file of exported histories; `docs/history-format.md` describes them. A file is `file`, then for each run `run`, its
/// events and `run_end`, then `file_end`: whatever was cut off shows.
package enum HistoryLine: Hashable, Sendable {
    case file(File)
    case run(ExportedRun)
    case event(Event)
    case runEnd(RunEnd)
    /// With the number of runs before it.
    case fileEnd(runs: Int)

    package struct File: Hashable, Sendable {
        /// Name of the store that the histories come from.
        package var store: String
        package var exportedAt: Timestamp

        package init(store: String, exportedAt: Timestamp) {
            self.store = store
            self.exportedAt = exportedAt
        }
    }

    /// Says that the events before it are all there are.
    package struct RunEnd: Hashable, Sendable {
        /// How many events stand before it in the file.
        package var events: Int
        /// Hash of the last of them; of the start of the chain if there is none.
        package var hash: EventHash
        /// Why the events behind them could not be read or do not hold together; nil if there are none.
        package var broken: String?

        package init(events: Int, hash: EventHash, broken: String? = nil) {
            self.events = events
            self.hash = hash
            self.broken = broken
        }
    }

    package static let format = "perdure-history"
    package static let version: Int64 = 1
}

// MARK: Writing

extension HistoryLine {
    /// The line in canonical JSON, without the line break.
    ///
    /// - Parameter leavesOutLargeValues: Of values that stand in blobs only digest and size are written.
    package func bytes(leavesOutLargeValues: Bool = false) -> [UInt8] {
        let members: [(String, JSONValue?)] =
            switch self {
            case .file(let file):
                [
                    ("line", "file"), ("format", .string(Self.format)), ("version", .integer(Self.version)),
                    ("store", .string(file.store)), ("exported_at", .integer(file.exportedAt.microseconds)),
                ]
            case .run(let run): Self.members(of: run)
            case .event(let event): Self.members(of: event, leavesOutLargeValues)
            case .runEnd(let end):
                [
                    ("line", "run_end"), ("events", JSONValue(end.events)), ("hash", .string(end.hash.description)),
                    ("broken", end.broken.map(JSONValue.string)),
                ]
            case .fileEnd(let runs): [("line", "file_end"), ("runs", JSONValue(runs))]
            }
        return Self.object(members).canonicalBytes
    }

    private static func object(_ members: [(String, JSONValue?)]) -> JSONValue {
        .object(JSONObject(members.compactMap { name, value in value.map { (name, $0) } }))
    }

    private static func members(of run: ExportedRun) -> [(String, JSONValue?)] {
        let expired = run.expired.map { expired in
            object([
                ("at", .integer(expired.at.microseconds)), ("last_seq", .integer(expired.lastSeq)),
                ("last_hash", .string(expired.lastHash.description)),
            ])
        }
        return [
            ("line", "run"), ("run", .string(run.id)), ("namespace", .string(run.namespace)), ("workflow", .string(run.workflow)),
            ("version", .string(run.version)), ("key", run.key.map(JSONValue.string)), ("state", .string(run.state)),
            ("epoch", .integer(run.epoch)), ("input_digest", .string(run.inputDigest)),
            ("salt", run.salt.map { .string(Hex.encode($0)) }), ("created_at", .integer(run.createdAt.microseconds)),
            ("closed_at", (run.closedAt?.microseconds).map(JSONValue.integer)), ("note", run.note.map(JSONValue.string)),
            ("successor", run.successor.map(JSONValue.string)), ("expired", expired),
            ("orphaned", run.isOrphaned ? true : nil),
        ]
    }

    private static func members(of event: Event, _ leavesOutLargeValues: Bool) -> [(String, JSONValue?)] {
        [
            ("line", "event"), ("seq", .integer(event.seq)), ("at", .integer(event.at.microseconds)),
            ("kind", .string(event.kind.rawValue)), ("subject", .string(event.subject)),
            ("attributes", .string(event.attributes.text)), ("input", value(event.input, leavesOutLargeValues)),
            ("output", value(event.output, leavesOutLargeValues)), ("codec", .integer(Int64(event.codec.rawValue))),
            ("key_id", event.keyID.map(JSONValue.string)), ("hash", .string(event.hash.description)),
        ]
    }

    private static func value(_ value: StoredValue?, _ leavesOutLargeValues: Bool) -> JSONValue? {
        guard let value else { return nil }
        guard case .inline(let bytes) = value, !(leavesOutLargeValues && value.isLarge) else {
            return ["digest": .string(Hex.encode(value.digest)), "size": .integer(value.size)]
        }
        // Nearly always JSON, which stays readable so.
        if let text = String(validating: bytes, as: UTF8.self) { return ["text": .string(text)] }
        return ["hex": .string(Hex.encode(bytes))]
    }
}
