import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdurePostgres

/// What is given to the server comes back as it was.
struct ValueTests {
    private static let integer = SQL("SELECT $1::int8")
    private static let bool = SQL("SELECT $1::bool")
    private static let text = SQL("SELECT $1::text")
    private static let bytes = SQL("SELECT $1::bytea")
    private static let integers = SQL("SELECT e FROM unnest($1::int8[]) WITH ORDINALITY AS u(e, i) ORDER BY i")
    private static let bools = SQL("SELECT e FROM unnest($1::bool[]) WITH ORDINALITY AS u(e, i) ORDER BY i")
    private static let texts = SQL("SELECT e FROM unnest($1::text[]) WITH ORDINALITY AS u(e, i) ORDER BY i")
    private static let blobs = SQL("SELECT e FROM unnest($1::bytea[]) WITH ORDINALITY AS u(e, i) ORDER BY i")
    private static let nulls = SQL("SELECT $1::int8[], $2::text[], $3::bytea[], $4::bool[], cardinality($5::int8[])")
    private static let kinds = SQL("SELECT 1::int2, 2::int4, 3::int8, 'name'::name, 'v'::varchar, 1.5::float8, NULL::int8")

    /// Every length in UTF-8, right to left, composed and not, and the last character that there is.
    private static let unicode = [
        "", " ", "a", "äöü", "a\u{308}", "日本語", "👩‍👩‍👧‍👦", "\u{202E}abc", "\u{1}\u{1F}\u{7F}", "\u{10FFFF}", "'; DROP TABLE x; --",
        "\\x00",
        "NULL", "{\"a\",b}", String(repeating: "é", count: 100_000),
    ]

    private static let blob = [UInt8]((0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 31) })

    @Test("Integers come back, up to the ends of their range", arguments: [Int64.min, -1, 0, 1, 1 << 40, .max], [true, false])
    func integers(_ number: Int64, prepares: Bool) async throws {
        let connection = try Connection(toTestServer: prepares ? "" : "perdure_prepare=false")
        let values = try await connection.perform { session in
            [
                try session.first(Self.integer, number) { try $0.integer(0) },
                try session.first(Self.integer, Int(number)) { try $0.integer(0) },
                try session.first(Self.integer, Timestamp(microseconds: number)) { try $0.integer(0) },
                try session.first(Self.integer, number as Int64?) { try $0.optionalInteger(0) },
            ]
        }
        #expect(values == [number, number, number, number])
    }

    @Test("Truth values come back", arguments: [true, false])
    func bools(_ value: Bool) async throws {
        let connection = try Connection(toTestServer: ())
        #expect(try await connection.perform { try $0.first(Self.bool, value) { try $0.bool(0) } } == value)
    }

    @Test("Texts of any characters come back, one by one and as an array")
    func texts() async throws {
        let connection = try Connection(toTestServer: ())
        let (single, many) = try await connection.perform { session in
            (
                try Self.unicode.map { text in try session.first(Self.text, text) { try $0.text(0) } },
                try session.all(Self.texts, Self.unicode) { try $0.text(0) }
            )
        }
        #expect(single.map { $0.map { Array($0.unicodeScalars) } } == Self.unicode.map { Array($0.unicodeScalars) })
        #expect(many.map { Array($0.unicodeScalars) } == Self.unicode.map { Array($0.unicodeScalars) })
    }

    @Test("States and ids are texts")
    func names() async throws {
        let connection = try Connection(toTestServer: ())
        let run = RunID(milliseconds: 1_700_000_000_000, random: (7, 9))
        let texts = try await connection.perform { session in
            [
                try session.first(Self.text, RunState.ready) { try $0.text(0) },
                try session.first(Self.text, NodeID(rawValue: "n1")) { try $0.text(0) },
                try session.first(Self.text, run) { try $0.text(0) },
            ]
        }
        #expect(texts == ["ready", "n1", run.description])
    }

    @Test("Bytes come back, none of them and a megabyte", arguments: [[], [0], [255, 0, 1], blob])
    func bytes(_ bytes: [UInt8]) async throws {
        let connection = try Connection(toTestServer: ())
        let (copy, seen) = try await connection.perform { session in
            (
                try session.first(Self.bytes, Bytes(bytes)) { try $0.bytes(0) },
                try session.first(Self.bytes, Bytes(bytes)) { try $0.withBytes(0) { Array($0) } }
            )
        }
        #expect(copy == bytes)
        #expect(seen == bytes)
    }

    @Test("Arrays come back with their NULLs, also when they are empty")
    func arrays() async throws {
        let connection = try Connection(toTestServer: ())
        let numbers: [Int64?] = [1, nil, .min, .max, nil], truths: [Bool?] = [true, nil, false]
        let texts: [String?] = ["", nil, "x,\"y\""], blobs: [Bytes?] = [Bytes([]), nil, Bytes(Self.blob)]
        try await connection.perform { session throws in
            let copy = try session.all(Self.integers, numbers) { try $0.optionalInteger(0) }
            #expect(copy == numbers)
            #expect(try session.all(Self.integers, [] as [Int64]) { try $0.optionalInteger(0) } == [])
            #expect(try session.all(Self.integers, [Timestamp(microseconds: 7)]) { try $0.integer(0) } == [7])
            #expect(try session.all(Self.bools, truths) { $0.isNull(0) ? nil : try $0.bool(0) } == truths)
            #expect(try session.all(Self.texts, texts) { try $0.optionalText(0) } == texts)
            #expect(try session.all(Self.texts, [RunState.ready, nil]) { try $0.optionalText(0) } == ["ready", nil])
            #expect(try session.all(Self.blobs, blobs) { try $0.optionalBytes(0) } == blobs.map { $0?.bytes })
            #expect(try session.all(Self.blobs, [] as [Bytes?]) { try $0.optionalBytes(0) } == [])
        }
    }

    @Test("NULL is NULL in every type, and an empty array is not")
    func nulls() async throws {
        let connection = try Connection(toTestServer: ())
        try await connection.perform { session throws in
            #expect(try session.first(Self.integer, nil as Int64?) { try $0.optionalInteger(0) } == .some(nil))
            #expect(try session.first(Self.text, nil as String?) { try $0.optionalText(0) } == .some(nil))
            #expect(try session.first(Self.bytes, nil as Bytes?) { try $0.optionalBytes(0) } == .some(nil))
            #expect(try session.first(Self.bool, nil as Bool?) { $0.isNull(0) } == true)
            let row = try session.first(
                Self.nulls, nil as [Int64]?, nil as [String]?, nil as [Bytes]?, nil as [Bool]?, [] as [Int64]?
            ) { row in ((0..<4).map { row.isNull($0) }, try row.integer(4)) }
            #expect(row?.0 == [true, true, true, true])
            #expect(row?.1 == 0)
        }
    }

    @Test("A text with a NUL character is refused as the server would refuse it, and nothing is sent")
    func nul() async throws {
        let connection = try Connection(toTestServer: ())
        try await connection.perform { session in
            for body in [{ try session.exists(Self.text, "a\0b") }, { try session.exists(Self.texts, ["a", "\0"]) }] {
                let failure = try thrown { _ = try body() }
                #expect(failure.isAboutData && failure.sqlState == "22021")
            }
            try session.transaction {
                _ = try? session.exists(Self.text, "\0")
                let goesOn = try session.exists(Self.text, "the transaction goes on")
                #expect(goesOn)
            }
        }
    }

    @Test("A value of another type than expected, a NULL, and a column that is not there are bad rows")
    func badRows() async throws {
        let connection = try Connection(toTestServer: ())
        try await connection.perform { session in
            _ = try session.first(Self.kinds) { row throws in
                #expect(try [row.integer(0), row.integer(1), row.integer(2)] == [1, 2, 3])
                #expect(try [row.text(3), row.text(4)] == ["name", "v"])
                for column: Int32 in [-1, 3, 5, 6, 7, .max] {
                    try thrown(BadRow.self) { try row.integer(column) }
                }
                for column: Int32 in [-1, 2, 5, 6, 7] {
                    try thrown(BadRow.self) { try row.text(column) }
                    try thrown(BadRow.self) { try row.bytes(column) }
                    try thrown(BadRow.self) { try row.bool(column) }
                }
                try thrown(BadRow.self) { try row.optionalInteger(7) }
                #expect(try row.optionalInteger(6) == nil)
            }
        }
    }
}
