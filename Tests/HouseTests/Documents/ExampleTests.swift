import Foundation
import Testing

/// The code that pages show is compiled: it is taken from files below Examples.
@Suite struct ExampleTests {
    @Test("the code in documents is the code that is compiled, and the lists of tests are complete")
    func upToDate() async throws {
        try await withFolder { folder in
            let script = Repository.root.appending(path: "Scripts/update_docs.py").path
            let check = try await Program.run("python3", [script], in: folder)
            #expect(check.status == 0, "\(check.output)\(check.errors)")
        }
    }

    @Test("every example that is compiled for a document is shown in one")
    func shown() {
        let begin = #/\/\/ begin (\w+)/#
        let names = Repository.swiftFiles.filter { $0.path.hasPrefix("Examples/Documents/") }.flatMap { file -> [String] in
            file.text.matches(of: begin).map { "\(file.name.dropLast(".swift".count)) \($0.output.1)" }
        }
        let text = Repository.pages.map(\.text).joined()
        expectNone(names.filter { !text.contains("<!-- example: \($0) -->") }, "no page shows these")
    }
}
