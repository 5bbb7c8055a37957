import Testing

@testable import PerdureTelemetry

@Suite struct ProtobufTests {
    @Test func `what is written is what the format says`() {
        let bytes = ProtobufWriter.message { writer in
            writer.varint(300, at: 1)
            writer.string("ab", at: 2)
            writer.fixed32(1, at: 16)
            writer.message(at: 3) { $0.varint(.max, at: 1) }
            writer.packed([1, 2], at: 4)
        }
        var expected: [UInt8] = [0x08, 0xAC, 0x02, 0x12, 2, 0x61, 0x62, 0x85, 0x01, 1, 0, 0, 0]
        expected += [0x1A, 11, 0x08] + [UInt8](repeating: 0xFF, count: 9) + [1]
        expected += [0x22, 16, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
        #expect(bytes == expected)
    }

    @Test func `what a reader assumes anyway is left out, unless it says what a value is`() {
        let bytes = ProtobufWriter.message { writer in
            writer.varint(0, at: 1)
            writer.string("", at: 2)
            writer.value(.int(0), at: 3)
            writer.value(.string(""), at: 4)
        }
        #expect(bytes == [0x1A, 2, 0x18, 0, 0x22, 2, 0x0A, 0])
    }

    @Test func `a long nested message has its whole length`() throws {
        let text = String(repeating: "x", count: 20_000)
        let bytes = ProtobufWriter.message { $0.message(at: 1) { $0.string(text, at: 2) } }
        let outer = try ProtobufReader.fields(of: bytes)
        let inner = try #require(outer.first?.value.bytes)
        let read = try ProtobufReader.fields(of: inner)
        #expect(read.first?.value.text == text)
    }

    @Test func `what is read is what was written`() throws {
        let fields = try ProtobufReader.fields(
            of: ProtobufWriter.message { writer in
                writer.varint(UInt64(bitPattern: -5), at: 1)
                writer.fixed64(7, at: 2)
                writer.fixed32(8, at: 3)
                writer.string("x", at: 4)
            })
        #expect(fields.map(\.field) == [1, 2, 3, 4])
        #expect(fields[0].value.integer == -5 && fields[1].value == .fixed64(7) && fields[2].value == .fixed32(8))
        #expect(fields[3].value.text == "x")
    }

    @Test(
        arguments: [
            [0x08], [0x08, 0x80], [0x00, 0x00], [0x0B], [0x0A, 5, 1], [0x09, 1, 2], [0x0D, 1],
            [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
        ] as [[UInt8]])
    func `what is no message is refused`(bytes: [UInt8]) {
        #expect(throws: ProtobufReader.Malformed.self) { try ProtobufReader.fields(of: bytes) }
    }

    @Test func `random bytes do no harm`() {
        var dice = SeededGenerator.announced()
        for _ in 0..<20_000 {
            let bytes = (0..<dice.roll(40)).map { _ in UInt8.random(in: 0...255, using: &dice) }
            _ = try? ExportResponse(bytes)
            _ = try? ErrorResponse(bytes)
        }
    }

    @Test func `partial success is read, and what is not known passed over`() throws {
        let bytes = ProtobufWriter.message { response in
            response.string("new", at: 9)
            response.message(at: 1) { partial in
                partial.varint(3, at: 1)
                partial.string("too long", at: 2)
                partial.fixed64(1, at: 7)
            }
        }
        let partial = try ExportResponse(bytes), whole = try ExportResponse([])
        #expect(partial == ExportResponse(rejected: 3, message: "too long") && whole == ExportResponse())
    }
}
