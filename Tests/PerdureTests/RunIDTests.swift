import Foundation
import Perdure
import Testing

@Suite struct RunIDTests {
    @Test("An id has the version and variant bits of UUIDv7, whatever the random bits are")
    func bits() throws {
        for random: (UInt64, UInt64) in [(0, 0), (.max, .max), (0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321)] {
            let id = RunID(milliseconds: 0x0123_4567_89ab, random: random)
            #expect(id.description.hasPrefix("01234567-89ab-7"))
            let bytes = try #require(UUID(uuidString: id.description)).uuid
            #expect(bytes.6 >> 4 == 7)
            #expect(bytes.8 >> 6 == 0b10)
        }
    }

    @Test("An id is built as RFC 9562 shows")
    func example() {
        let id = RunID(milliseconds: 0x017F_22E2_79B0, random: (0xCC3, 0x18C4_DC0C_0C07_398F))
        #expect(id.description == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    }

    @Test("Ids sort by time as text")
    func order() {
        let times: [Int64] = [0, 1, 0xFFFF, 0x1_0000, 1_700_000_000_000, 1_700_000_000_001, 0xFFFF_FFFF_FFFF]
        let ids = times.enumerated().map { index, time in
            RunID(milliseconds: time, random: index % 2 == 0 ? (.max, .max) : (0, 0)).description
        }
        #expect(ids.sorted() == ids)
    }

    @Test("A time that has no place in an id does not trap")
    func extremeTimes() {
        for time in [Int64.min, -1, .max] { #expect(RunID(RunID(milliseconds: time, random: (0, 0)).description) != nil) }
    }

    @Test("An id is read in any case and printed in lower case")
    func parse() {
        let text = "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"
        #expect(RunID(text)?.description == text.lowercased())
        #expect(RunID(text) == RunID(text.lowercased()))
        for wrong in ["", "7", "017F22E2-79B0-7CC3-98C4-DC0C0C07398", "017F22E2-79B0-7CC3-98C4-DC0C0C07398G", text + " "] {
            #expect(RunID(wrong) == nil, "\(wrong)")
        }
    }

    @Test("An id is coded as its text, and text that is none is an error")
    func coding() throws {
        let id = RunID(milliseconds: 1_700_000_000_000, random: (1, 2))
        #expect(try JSONDecoder().decode(RunID.self, from: JSONEncoder().encode(id)) == id)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(RunID.self, from: Data(#""seven""#.utf8)) }
    }
}
