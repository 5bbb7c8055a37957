import Foundation
import Testing

/// The files of `MustCompile`, which the test target compiles as well.
private func rightShapes() throws -> [String: String] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "MustCompile")
    var files: [String: String] = [:]
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    where file.pathExtension == "swift" {
        files[file.lastPathComponent] = try String(contentsOf: file, encoding: .utf8)
    }
    return files
}

@Suite struct CompileFailureTests {
    @Test("Wrong code gets exactly the compiler errors that are written down with it")
    func wrongCode() async throws {
        var files = try rightShapes()
        files["Prelude.swift"] = Snippet.prelude
        for (index, snippet) in Snippet.all.enumerated() { files["Snippet\(index).swift"] = snippet.source(index) }
        let found = try await Compiler(features: Compiler.packageFeatures).diagnose(files, thorough: false)
        let errors = Dictionary(grouping: found.filter { $0.severity == .error }, by: \.file).mapValues { $0.map(\.text) }

        for (index, snippet) in Snippet.all.enumerated() {
            #expect(!snippet.expected.isEmpty, "'\(snippet.name)' has to say what it expects")
            let got = errors["Snippet\(index).swift"] ?? []
            if got.sorted() == snippet.expected.sorted() { continue }
            let missing = snippet.expected.filter { !got.contains($0) }.map { "- \($0)" }
            let surplus = got.filter { !snippet.expected.contains($0) }.map { "+ \($0)" }
            let counts = missing.isEmpty && surplus.isEmpty ? ["the same errors, but \(got.count) of them"] : []
            Issue.record("\(snippet.name):\n\((missing + surplus + counts).joined(separator: "\n"))")
        }
        for (file, texts) in errors where !file.hasPrefix("Snippet") {
            Issue.record("\(file) has to compile:\n\(texts.joined(separator: "\n"))")
        }
    }
}

@Suite struct CompileSuccessTests {
    @Test("Every right shape compiles without a warning, whatever features the client turns on", arguments: [true, false])
    func rightCode(withFeatures: Bool) async throws {
        let compiler = try Compiler(features: withFeatures ? Compiler.packageFeatures : [])
        let found = try await compiler.diagnose(rightShapes(), thorough: true)
        #expect(found == [])
    }

    @Test("The compiler that the tests run does complain")
    func compilerComplains() async throws {
        let found = try await Compiler(features: []).diagnose(["One.swift": "let number: Int = \"one\""], thorough: false)
        #expect(found.map(\.file) == ["One.swift"])
        #expect(found.map(\.severity) == [.error])
    }
}
