import Foundation

/// The checkout that these tests were compiled from.
enum Repository {
    /// Its top folder.
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// Every Swift file of the project's own code, in the order of its path.
    static let swiftFiles: [SourceFile] = ["Sources", "Tests", "Examples"].flatMap { paths(below: $0) }
        .filter { $0.hasSuffix(".swift") }.compactMap { path in
            text(path).map { SourceFile(path: path, text: $0) }
        }

    static var sources: [SourceFile] { swiftFiles.filter { $0.path.hasPrefix("Sources/") } }
    static var tests: [SourceFile] { swiftFiles.filter { $0.path.hasPrefix("Tests/") } }

    /// Every page: the README and everything below docs.
    static let pages: [SourceFile] = (["README.md"] + paths(below: "docs")).filter { $0.hasSuffix(".md") }.compactMap { path in
        text(path).map { SourceFile(path: path, text: $0) }
    }

    /// The files below a folder, as paths from the top folder. Hidden ones are left out.
    static func paths(below folder: String) -> [String] {
        let names = FileManager.default.enumerator(atPath: root.appending(path: folder).path)?.allObjects ?? []
        return names.compactMap { $0 as? String }.filter { !$0.split(separator: "/").contains { $0.hasPrefix(".") } }
            .filter { !isFolder("\(folder)/\($0)") }.map { "\(folder)/\($0)" }.sorted()
    }

    static func text(_ path: String) -> String? { try? String(contentsOf: root.appending(path: path), encoding: .utf8) }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root.appending(path: path).path) }

    static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: root.appending(path: path).path, isDirectory: &isFolder)
            && isFolder.boolValue
    }
}

/// A text file of the project.
struct SourceFile: Sendable {
    /// From the top folder.
    let path: String
    let text: String
    /// Line by line; the first is line 1.
    let lines: [Substring]
    /// The same lines with the content of comments and string literals blanked out, so that only code is left.
    let code: [Substring]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        code = path.hasSuffix(".swift") ? CodeMask.mask(text).split(separator: "\n", omittingEmptySubsequences: false) : lines
    }

    /// The folder below Sources or Tests.
    var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
    var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// `path:line` of every line of code that matches.
    ///
    /// - Parameter hints: a line without any of them cannot match; looking for them first is much faster.
    func places(of pattern: Regex<Substring>, hints: [String]) -> [String] {
        guard hints.contains(where: text.contains) else { return [] }
        return code.indices.filter { line in hints.contains { code[line].contains($0) } && code[line].contains(pattern) }
            .map { "\(path):\($0 + 1): \(lines[$0].trimmed)" }
    }
}

extension StringProtocol {
    var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
