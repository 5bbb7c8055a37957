import Testing

/// Words that code of this project does without.
@Suite struct WordTests {
    @Test("nothing traps on bad data: no try!, no fatalError")
    func traps() {
        expectNone(
            Repository.swiftFiles.flatMap { $0.places(of: #/\btry!|\bfatalError\(/#, hints: ["try!", "fatalError"]) },
            "throw an error that says what to do; `precondition` is for our own bugs")
    }

    @Test("at most one audited file of a target uses @unchecked Sendable")
    func unchecked() {
        for (target, files) in Dictionary(grouping: Repository.sources, by: \.target).sorted(by: { $0.key < $1.key }) {
            let places = files.flatMap { $0.places(of: #/@unchecked\s+Sendable/#, hints: ["@unchecked"]) }
            let count = Set(places.map { $0.prefix { $0 != ":" } }).count
            expectNone(count > 1 ? places : [], "\(target) has more than one file with @unchecked Sendable")
        }
        let unexplained = Repository.sources.flatMap { file in
            file.code.indices.filter {
                file.code[$0].contains("@unchecked") && ($0 == 0 || !file.lines[$0 - 1].trimmed.hasPrefix("///"))
            }
            .map { "\(file.path):\($0 + 1)" }
        }
        expectNone(unexplained, "say in a doc comment why `@unchecked` is right here")
    }

    /// Tests about waiting for something outside a run need something to wait for; none of them waits for it to end.
    private static let mayNameSleep: Set<String> = ["ForeignAwaitTests.swift"]

    @Test("no test sleeps")
    func sleeps() {
        let calls = #/\b(?:Task|Thread)\.sleep\b|(?:^|[^.\w])(?:u|nano)?sleep\(/#
        let files = Repository.tests.filter { !Self.mayNameSleep.contains($0.name) }
        let places: [String] = files.flatMap { $0.places(of: calls, hints: ["sleep"]) }
        expectNone(places.filter { !$0.contains("func sleep(") }, "wait for a signal of the code under test, or move its clock")
    }

    @Test("nothing is left to do later")
    func leftovers() {
        let word = #/\b(?:TODO|FIXME|XXX|HACK)\b/#
        let places = Repository.swiftFiles.filter { $0.name != "WordTests.swift" }.flatMap { file -> [String] in
            guard ["TODO", "FIXME", "XXX", "HACK"].contains(where: file.text.contains) else { return [] }
            return file.lines.indices.filter { file.lines[$0].contains(word) }.map { "\(file.path):\($0 + 1)" }
        }
        expectNone(places, "do it, or write an issue")
    }

    @Test("nothing is named after its history")
    func names() {
        let declaration =
            #/\b(?:struct|class|enum|actor|protocol|typealias)\s+(?:(?:Legacy|Deprecated|Old)[A-Z]\w*|\w+?(?:V[0-9]+|New|Legacy|Old))\b/#
        var places: [String] = Repository.swiftFiles.flatMap {
            $0.places(of: declaration, hints: ["Legacy", "Deprecated", "Old", "New", "V"])
        }
        let parts: Set<Substring> = ["New", "Old", "Legacy", "Deprecated", "V2"]
        places += Repository.swiftFiles.map(\.path).filter { path in
            path.dropLast(".swift".count).split(separator: "/").contains { parts.contains($0) }
                || path.contains(#/(?:Legacy|Deprecated|V[0-9]+)\.swift$/#)
        }
        expectNone(places, "a name says what a thing is, not which came first")
    }

    @Test("nothing points outside the project")
    func outsiders() {
        let words = ["blueprint", "../shared", "probes/"]
        let others = (Repository.paths(below: "Scripts") + ["Makefile", ".ci/run", "Package.swift"]).compactMap { path in
            Repository.text(path).map { SourceFile(path: path, text: $0) }
        }
        let places = (Repository.swiftFiles + Repository.pages + others).filter { $0.name != "WordTests.swift" }.flatMap {
            file -> [String] in
            let text = file.text.lowercased()
            guard words.contains(where: text.contains) else { return [] }
            return file.lines.indices.filter { line in words.contains { file.lines[line].lowercased().contains($0) } }
                .map { "\(file.path):\($0 + 1): \(file.lines[$0].trimmed)" }
        }
        expectNone(places, "the project has to be understood from itself")
    }
}
