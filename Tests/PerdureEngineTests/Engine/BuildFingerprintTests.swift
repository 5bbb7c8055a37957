import Foundation
import Testing

@testable import PerdureEngine

@Suite struct BuildFingerprintTests {
    private func fingerprint(_ bytes: [UInt8]) throws -> String {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("build-\(UUID().uuidString)")
        try Data(bytes).write(to: path)
        defer { try? FileManager.default.removeItem(at: path) }
        return BuildFingerprint.of(path.path)
    }

    /// A file with one table of program headers, of which the first tells what is loaded.
    private func executable(loaded: [UInt8], offset: UInt64 = 120, length: UInt64? = nil, rest: [UInt8]) -> [UInt8] {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1] + Array(repeating: 0, count: 26)
        file += bytes(UInt64(64)) + Array(repeating: 0, count: 14) + bytes(UInt16(56)) + bytes(UInt16(1))
        file += Array(repeating: 0, count: 64 - file.count)
        file += bytes(UInt32(1)) + bytes(UInt32(5)) + bytes(offset) + Array(repeating: 0, count: 16)
        file += bytes(length ?? UInt64(loaded.count))
        file += Array(repeating: 0, count: 120 - file.count)
        return file + loaded + rest
    }

    @Test func `another code is another build`() throws {
        #expect(try fingerprint(executable(loaded: [1], rest: [])) != fingerprint(executable(loaded: [2], rest: [])))
    }

    @Test func `what only a debugger reads makes no other build`() throws {
        #expect(try fingerprint(executable(loaded: [1], rest: [1])) == fingerprint(executable(loaded: [1], rest: [2])))
    }

    @Test func `a file of another format counts as a whole`() throws {
        #expect(try fingerprint([1, 2, 3]) != fingerprint([1, 2, 4]))
    }

    @Test(arguments: [UInt64(120), .max]) func `a file whose tables do not fit counts as a whole`(offset: UInt64) throws {
        let first = executable(loaded: [1], offset: offset, length: .max, rest: [1])
        let second = executable(loaded: [1], offset: offset, length: .max, rest: [2])
        #expect(try fingerprint(first) != fingerprint(second))
    }

    @Test func `a file that cannot be read is an unknown build`() { #expect(BuildFingerprint.of("/nowhere/at/all") == "unknown") }
}
