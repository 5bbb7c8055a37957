import Testing

/// The list of promises names tests that exist, and every test that keeps a promise is in the list.
@Suite struct PromiseTests {
    private struct Reference: Hashable, CustomStringConvertible {
        let promise: Int
        let file: String
        let function: String
        var description: String { "promise \(promise): - `\(file)` `\(function)`" }
    }

    private static let page = Repository.text("docs/promises.md") ?? ""

    /// The references in the page, under the number of the heading above them.
    private static var listed: [Reference] {
        var promise = 0
        return page.split(separator: "\n").compactMap { line in
            if let match = line.firstMatch(of: #/^### (\d+)\./#) { promise = Int(match.output.1) ?? 0 }
            guard let match = line.firstMatch(of: #/^- `(Tests\/[^`]+\.swift)` `([^`]+)`/#) else { return nil }
            return Reference(promise: promise, file: String(match.output.1), function: String(match.output.2))
        }
    }

    /// The tests that carry a line `// Promise: N` or `// Promise: N, M` above themselves.
    private static var tagged: [Reference] {
        Repository.tests.filter { $0.text.contains("Promise") }.flatMap { file in
            file.lines.indices.filter { file.lines[$0].contains("// Promise") }.flatMap { index -> [Reference] in
                guard let tag = file.lines[index].firstMatch(of: #/^\s*\/+ Promises?: ([\d, ]+)$/#) else { return [] }
                let function = file.lines[index...].prefix(30).firstMatch
                return tag.output.1.split(separator: ",").compactMap { Int($0.trimmed) }.map {
                    Reference(promise: $0, file: file.path, function: function ?? "no function follows line \(index + 1)")
                }
            }
        }
    }

    @Test("there are fifty promises, each with a status")
    func complete() {
        let sections = Self.page.split(separator: "\n### ").dropFirst()
        #expect(sections.compactMap { Int($0.prefix { $0.isNumber }) } == Array(1...50))
        for section in sections {
            let number = section.prefix { $0.isNumber }
            let status = section.firstMatch(of: #/\n\*\*(Kept|Kept in part|Not built yet)\*\*/#)?.output.1
            #expect(status != nil, "promise \(number) has no status")
            let hasTests = section.contains("\n- `Tests/")
            if status == "Kept" { #expect(hasTests, "promise \(number) is kept by no test") }
            if status == "Not built yet" { #expect(!hasTests, "promise \(number) has tests but is not built") }
        }
    }

    @Test("every test that the list names exists")
    func namedTestsExist() {
        let missing = Self.listed.filter { reference in
            guard let text = Repository.text(reference.file) else { return true }
            return !text.contains("func \(reference.function)(") && !text.contains("func `\(reference.function)`(")
        }
        expectNone(missing.map(\.description), "docs/promises.md names tests that do not exist")
    }

    @Test("every test that is tagged with a promise is in the list")
    func taggedTestsAreListed() {
        let missing = Set(Self.tagged).subtracting(Self.listed)
        expectNone(
            missing.map(\.description).sorted(), "add these to docs/promises.md: python3 Scripts/update_docs.py --write")
    }
}

extension Collection<Substring> {
    /// The name of the first function declared in these lines.
    fileprivate var firstMatch: String? {
        for line in self {
            guard let match = line.firstMatch(of: #/func (?:`([^`]+)`|(\w+))\s*\(/#) else { continue }
            return String(match.output.1 ?? match.output.2 ?? "")
        }
        return nil
    }
}
