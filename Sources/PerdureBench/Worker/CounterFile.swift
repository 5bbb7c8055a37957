import Foundation

/// A file to which every executed body adds a line, outside of the engine and its store. What was written stays when the process is
/// killed.
final class CounterFile: Sendable {
    static let lineLength = 16
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT, 0o600)
        try BenchError.check(descriptor >= 0, "\(path) cannot be written")
    }

    deinit { close(descriptor) }

    /// "run step", in one call, so that lines of several threads do not mix.
    func add(_ run: Int, _ step: Int) {
        var line: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &line) { bytes in
            Self.write(run, into: bytes, 0..<7)
            bytes[7] = UInt8(ascii: " ")
            Self.write(step, into: bytes, 8..<15)
            bytes[15] = UInt8(ascii: "\n")
            // A line that is missing is found when the lines are compared with the histories.
            _ = Foundation.write(descriptor, bytes.baseAddress, Self.lineLength)
        }
    }

    private static func write(_ number: Int, into bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>) {
        var rest = number
        for index in range.reversed() {
            bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// How many lines there are.
    static func count(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) / lineLength : 0
    }

    /// The lines in order; a last one that was cut off is left out.
    static func lines(_ path: String) -> [StepPlace] {
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            return numbers.count == 2 ? StepPlace(run: numbers[0], step: numbers[1]) : nil
        }
    }
}

/// One step of one run, by the numbers that the benchmark has given them.
struct StepPlace: Hashable, Sendable {
    var run: Int
    var step: Int
}
