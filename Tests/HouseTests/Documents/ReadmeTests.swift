import Foundation
import Testing

/// What the README shows is what is compiled and run.
@Suite struct ReadmeTests {
    @Test("the README's example is Examples/Quickstart/main.swift, in at most 30 lines")
    func sameText() throws {
        let readme = try #require(Repository.text("README.md"))
        let example = try #require(Repository.text("Examples/Quickstart/main.swift"))
        let block = try #require(readme.firstMatch(of: #/```swift\n((?s:.*?))```/#)?.output.1)
        #expect(String(block) == example)
        #expect(example.split(separator: "\n", omittingEmptySubsequences: false).dropLast().count <= 30)
    }

    // Promise: 7
    @Test("the README's example runs to its end, and a second start with the same key does nothing a second time")
    func runs() async throws {
        try await withFolder { folder in
            let program = try Program.built("Quickstart")
            let first = try await Program.run(program, in: folder)
            #expect(first.status == 0, "\(first.output)\(first.errors)")
            #expect(first.output.contains("charging 4200 cents, key pk_"))
            #expect(first.output.contains("shipping order 7"))
            #expect(first.output.contains(" ended with charge-for-7"))
            #expect(!first.output.contains("refunding"))

            let second = try await Program.run(program, in: folder)
            #expect(second.status == 0, "\(second.output)\(second.errors)")
            let lines = first.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            #expect(second.output == lines.suffix(2).joined(separator: "\n"))
        }
    }
}
