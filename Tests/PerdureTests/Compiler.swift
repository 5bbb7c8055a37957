import Foundation

/// Runs the Swift compiler on texts against the Perdure module that this test was linked with.
struct Compiler {
    /// The features that the package's targets turn on. A client need not.
    static let packageFeatures = [
        "NonisolatedNonsendingByDefault", "InternalImportsByDefault", "ExistentialAny", "MemberImportVisibility",
    ]

    struct NoModule: Error, CustomStringConvertible {
        let searched: [String]
        var description: String { "no folder with Perdure.swiftmodule above any of \(searched)" }
    }

    /// One error or warning, without its position in the file.
    struct Diagnostic: Hashable {
        enum Severity: String { case error, warning }
        let file: String
        let severity: Severity
        let text: String
    }

    let features: [String]
    let modules: URL

    init(features: [String]) throws {
        self.features = features
        modules = try Self.moduleFolder()
    }

    /// Compiles the files together. `thorough` goes on to the checks that follow type checking, such as those of regions, which the
    /// compiler does only where there was no error before.
    func diagnose(_ files: [String: String], thorough: Bool) async throws -> [Diagnostic] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-snippets-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var paths: [String] = []
        for (name, text) in files.sorted(by: { $0.key < $1.key }) {
            let file = folder.appending(path: name)
            try text.write(to: file, atomically: true, encoding: .utf8)
            paths.append(file.path)
        }
        let mode = thorough ? ["-emit-sil", "-o", folder.appending(path: "snippets.sil").path] : ["-typecheck"]
        let output = folder.appending(path: "diagnostics.txt")
        let status = try await run(
            mode + ["-wmo", "-parse-as-library", "-module-name", "Snippets", "-swift-version", "6", "-diagnostic-style", "llvm"]
                + features.flatMap { ["-enable-upcoming-feature", $0] } + ["-I", modules.path] + paths, output: output)
        let text = try String(contentsOf: output, encoding: .utf8)
        // The compiler repeats itself where several of its passes see the same mistake.
        var seen: Set<Substring> = []
        var found = text.split(separator: "\n").filter { seen.insert($0).inserted }.compactMap { Self.parse($0) }
        if status != 0, !found.contains(where: { $0.severity == .error }) {
            found.append(Diagnostic(file: "", severity: .error, text: "the compiler ended with \(status): \(text)"))
        }
        return found
    }

    private func run(_ arguments: [String], output: URL) async throws -> Int32 {
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["swiftc"] + arguments
        process.standardError = try FileHandle(forWritingTo: output)
        process.standardOutput = FileHandle.nullDevice
        return try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
    }

    /// `PATH:LINE:COLUMN: error: TEXT [#Group]`
    private static func parse(_ line: Substring) -> Diagnostic? {
        guard
            let match = line.wholeMatch(of: /(?:<unknown>|.*\/(\w+\.swift)):\d+(?::\d+)?: (error|warning): (.*?)(?: \[#\w+\])?/),
            let severity = Diagnostic.Severity(rawValue: String(match.2))
        else { return nil }
        return Diagnostic(file: match.1.map(String.init) ?? "", severity: severity, text: String(match.3))
    }

    /// SwiftPM puts the modules beside the test's executable, or some folders above it.
    private static func moduleFolder() throws -> URL {
        let starts = [
            Bundle.main.executableURL?.resolvingSymlinksInPath(),
            URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath(),
        ]
        for start in starts.compactMap({ $0 }) {
            var folder = start.deletingLastPathComponent()
            while folder.path.count > 1 {
                let modules = folder.appending(path: "Modules")
                if FileManager.default.fileExists(atPath: modules.appending(path: "Perdure.swiftmodule").path) { return modules }
                folder.deleteLastPathComponent()
            }
        }
        throw NoModule(searched: starts.compactMap { $0?.path })
    }
}
