import Foundation

/// Another program, run to its end. Waiting for it blocks no thread: the tests share very few of them.
struct Program {
    let status: Int32
    let output: String
    let errors: String

    /// - Parameter path: an executable, or the name of one on the path.
    static func run(_ path: String, _ arguments: [String] = [], in folder: URL) async throws -> Program {
        // Files, since a pipe that nobody reads could stop the program.
        let output = folder.appending(path: "output-\(UUID().uuidString).txt"), errors = output.appendingPathExtension("errors")
        for file in [output, errors] { try Data().write(to: file) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [path] + arguments
        process.currentDirectoryURL = folder
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in ended.resume() }
            do {
                try process.run()
            } catch {
                process.terminationHandler = nil
                ended.resume(throwing: error)
            }
        }
        return Program(
            status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
            errors: try String(contentsOf: errors, encoding: .utf8))
    }

    /// An executable of this package, which lies beside the tests.
    static func built(_ name: String) throws -> String {
        let beside = [Bundle.main.executableURL, Bundle.main.bundleURL].compactMap { $0?.deletingLastPathComponent() }
        let places = (beside + Bundle.allBundles.map { $0.bundleURL.deletingLastPathComponent() }).map {
            $0.appending(path: name).path
        }
        guard let found = places.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
            throw Missing(name: name, places: places)
        }
        return found
    }

    private struct Missing: Error, CustomStringConvertible {
        let name: String
        let places: [String]
        var description: String { "\(name) was not built; looked for \(places.joined(separator: ", "))" }
    }
}

/// Gives a folder of its own to the body and removes it afterwards.
func withFolder<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-house-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}
