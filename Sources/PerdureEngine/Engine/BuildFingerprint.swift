import Crypto
import Foundation
import PerdureHistory

/// What tells two builds of an executable apart: SHA-256 over its file, or, where the file says what of it is loaded into memory, over
/// that. The rest is there for debuggers, is several times as large, and would only hold up the start of the process.
enum BuildFingerprint {
    static let current: String = of(executablePath)

    static func of(_ path: String) -> String {
        guard let file = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else { return "unknown" }
        var hash = SHA256()
        file.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
            for part in loadedParts(bytes) ?? [0..<bytes.count] {
                hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[part]))
            }
        }
        return Hex.encode(Array(hash.finalize().prefix(12)))
    }

    /// The parts of a 64-bit little-endian ELF file that are loaded, `nil` for every other file and for one whose tables do not fit.
    private static func loadedParts(_ file: UnsafeRawBufferPointer) -> [Range<Int>]? {
        func number<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type) -> Int? {
            guard offset >= 0, offset <= file.count - MemoryLayout<Value>.size else { return nil }
            return Int(exactly: Value(littleEndian: file.loadUnaligned(fromByteOffset: offset, as: Value.self)))
        }
        let magic: [UInt8] = [0x7F, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F"), 2, 1]
        guard file.starts(with: magic), let table = number(at: 32, as: UInt64.self), let size = number(at: 54, as: UInt16.self),
            let count = number(at: 56, as: UInt16.self), table <= file.count
        else { return nil }
        let loaded = 1
        var parts: [Range<Int>] = []
        for index in 0..<count {
            let header = table + index * size
            guard let type = number(at: header, as: UInt32.self) else { return nil }
            guard type == loaded else { continue }
            guard let offset = number(at: header + 8, as: UInt64.self), let length = number(at: header + 32, as: UInt64.self),
                offset <= file.count, length <= file.count - offset
            else { return nil }
            parts.append(offset..<(offset + length))
        }
        return parts.isEmpty ? nil : parts
    }

    private static var executablePath: String {
        #if os(Linux)
            "/proc/self/exe"
        #else
            Bundle.main.executablePath ?? CommandLine.arguments.first ?? ""
        #endif
    }
}
