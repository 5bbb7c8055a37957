import Foundation
import PerdureHistory
import Testing

/// Compares our canonical bytes with those of another implementation of RFC 8785.
@Suite struct IndependentCanonicalTests {
    static let skipped = ProcessInfo.processInfo.environment["PERDURE_SKIP_INDEPENDENT"] == "1"

    @Test(
        "canonical bytes are those of the Python package rfc8785",
        .disabled(if: skipped, "PERDURE_SKIP_INDEPENDENT=1 leaves out the comparison with the Python package rfc8785"))
    func agreement() throws {
        var random = SeededGenerator.announced()
        var values: [JSONValue] = (0..<1500).map { _ in .number(random.double()) }
        values += (0..<500).map { _ in .string(random.string(maximum: 40)) }
        values += (0..<1500).map { _ in random.json(depth: 5) }
        let theirs = try Self.canonicalized(values)
        try #require(theirs.count == values.count)
        for (value, expected) in zip(values, theirs) {
            #expect(Hex.encode(value.canonicalBytes) == expected, "\(value)")
        }
    }

    private static func canonicalized(_ values: [JSONValue]) throws -> [String] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-jcs-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let input = folder.appending(path: "input.json")
        let output = folder.appending(path: "output.txt")
        let errors = folder.appending(path: "errors.txt")
        try Data("[\(values.map(tagged).joined(separator: ",\n"))]".utf8).write(to: input)
        try Data().write(to: errors)

        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", tests.appending(path: "Scripts/jcs.py").path(), input.path(), output.path()]
        // A file, since a pipe that nobody reads could stop the script.
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Unavailable(reason: try String(contentsOf: errors, encoding: .utf8))
        }
        return try String(contentsOf: output, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    private struct Unavailable: Error, CustomStringConvertible {
        let reason: String
        var description: String {
            """
            Scripts/jcs.py did not run. It needs python3 and the package rfc8785: pip install rfc8785 \
            (or set PERDURE_SKIP_INDEPENDENT=1 to leave this comparison out). It said: \(reason)
            """
        }
    }

    /// The value with numbers as bits and strings as bytes, which needs nothing of what is under test.
    private static func tagged(_ value: JSONValue) -> String {
        switch value {
        case .null: #"["null",null]"#
        case .bool(let value): #"["bool",\#(value)]"#
        case .integer(let value): #"["integer","\#(value)"]"#
        case .unsigned(let value): #"["integer","\#(value)"]"#
        case .number(let value):
            #"["double","\#(Hex.encode(Swift.withUnsafeBytes(of: value.bitPattern.bigEndian) { Array($0) }))"]"#
        case .decimal(let value): #"["decimal","\#(value.text)"]"#
        case .string(let value): #"["string","\#(Hex.encode(value.utf8))"]"#
        case .array(let elements): #"["array",[\#(elements.map(tagged).joined(separator: ","))]]"#
        case .object(let object):
            #"["object",[\#(object.members.map(tagged).joined(separator: ","))]]"#
        }
    }

    private static func tagged(_ member: JSONObject.Member) -> String {
        #"["\#(Hex.encode(member.key.utf8))",\#(tagged(member.value))]"#
    }
}
