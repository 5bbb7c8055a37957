import Foundation
import Testing

/// What code names once and pages describe: error codes, kinds of events, metrics. Neither side may forget something.
@Suite struct CatalogueTests {
    private static func names(in path: String, _ pattern: Regex<(Substring, Substring)>) -> Set<String> {
        Set((Repository.text(path) ?? "").matches(of: pattern).map { String($0.output.1) })
    }

    private static let codes = names(in: "Sources/Perdure/PerdureError.swift", #/= Self\(rawValue: "(\w+)"\)/#)

    @Test("every error code has a page, and every page a code")
    func errorPages() {
        let names: [String] = Repository.pages.filter { $0.path.hasPrefix("docs/errors/") }.map(\.name)
        let pages = Set(names.filter { $0 != "README.md" }.map { String($0.dropLast(".md".count)) })
        #expect(Self.codes.count > 30)
        expectNone(Self.codes.subtracting(pages).sorted(), "these codes have no page docs/errors/CODE.md")
        expectNone(pages.subtracting(Self.codes).sorted(), "these pages of docs/errors have no code")
    }

    @Test("every error page says what it means, why it happens and what to do")
    func errorPageParts() {
        for code in Self.codes.sorted() {
            let text = Repository.text("docs/errors/\(code).md") ?? ""
            #expect(text.hasPrefix("# `\(code)`\n"), "docs/errors/\(code).md")
            for part in ["## What it means", "## Why it happens", "## What to do"] {
                #expect(text.contains("\n\(part)\n"), "docs/errors/\(code).md lacks '\(part)'")
            }
        }
    }

    @Test("the index of errors lists every code")
    func errorIndex() {
        let index = Repository.text("docs/errors/README.md") ?? ""
        expectNone(Self.codes.filter { !index.contains("[`\($0)`](\($0).md)") }.sorted(), "docs/errors/README.md lacks these")
    }

    @Test("the page about the format of histories lists every kind of event")
    func eventKinds() {
        let kinds = Self.names(in: "Sources/PerdureHistory/Events/EventKind.swift", #/= "([a-z_]+\.[a-z_]+)"/#)
        let page = Repository.text("docs/history-format.md") ?? ""
        #expect(kinds.count > 40)
        expectNone(kinds.filter { !page.contains("`\($0)`") }.sorted(), "docs/history-format.md lacks these kinds")
    }

    @Test("the page about operation lists every metric, and no other")
    func metrics() {
        let files = ["Sources/PerdureEngine/Engine/EngineMetrics.swift", "Sources/PerdureServer/Hooks/HookMetrics.swift"]
        let metrics = files.reduce(into: Set<String>()) { $0.formUnion(Self.names(in: $1, #/label: "(\w+)"/#)) }
        let named = Self.names(in: "docs/operations.md", #/`(perdure_\w+)`/#)
        #expect(!metrics.isEmpty)
        expectNone(metrics.subtracting(named).sorted(), "docs/operations.md lacks these metrics")
        expectNone(named.subtracting(metrics).sorted(), "docs/operations.md names metrics that do not exist")
    }

    // MARK: Tables of pages

    /// The first cells of the table that begins with this line, or those of another column.
    private static func cells(of page: String, below header: String, column: Int = 0) -> [String] {
        let lines = (Repository.text(page) ?? "").split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(of: Substring(header)) else { return [] }
        return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.compactMap { line in
            let cells = line.split(separator: "|").map(\.trimmed)
            return cells.indices.contains(column) ? cells[column] : nil
        }
    }

    /// What stands in backquotes, up to the first space in there.
    private static func codeWords(in cells: [String]) -> Set<String> {
        Set(cells.flatMap { $0.matches(of: #/`([^` ]+)[^`]*`/#).map { String($0.output.1) } })
    }

    @Test("the page about operation lists every state of a run, and no other")
    func states() {
        let text = Repository.text("Sources/PerdureStore/RunRecord.swift") ?? ""
        let body = text.components(separatedBy: "enum RunState").last?.components(separatedBy: "package var isFinal").first ?? ""
        let cases = body.matches(of: #/\bcase ([a-z, ]+)\n/#).flatMap { $0.output.1.split(separator: ",").map(\.trimmed) }
        // The name under which some of the completed ones are shown.
        let names = Self.names(in: "Sources/PerdureStore/RunRecord.swift", #/stateName: String \{ .* : "(\w+)" \}/#)
        #expect(cases.count > 8 && names == ["continued"])
        let page = Self.codeWords(in: Self.cells(of: "docs/operations.md", below: "| State | Means | What to do |"))
        expectNone(names.union(cases).subtracting(page).sorted(), "docs/operations.md lacks these states")
        expectNone(page.subtracting(names).subtracting(cases).sorted(), "docs/operations.md names states that do not exist")
    }

    @Test("the page about operation lists every command, and no other")
    func commands() {
        let files = Repository.paths(below: "Sources/PerdureCommands/Commands")
        let commands = Set(files.flatMap { Self.names(in: $0, #/commandName: "([a-z-]+)"/#) })
        let page = Self.codeWords(in: Self.cells(of: "docs/operations.md", below: "| Command | Does |"))
        #expect(commands.count > 15)
        expectNone(commands.subtracting(page).sorted(), "docs/operations.md lacks these commands")
        expectNone(page.subtracting(commands).sorted(), "docs/operations.md names commands that do not exist")
    }

    @Test("the page about operation lists what the engine logs for an operator, at its level, and nothing else")
    func logs() {
        var logged: Set<String> = [], all: Set<String> = []
        for file in Repository.sources where file.target == "PerdureEngine" {
            // Cut before it is searched: looking for the expression everywhere takes half a minute.
            for call in file.text.components(separatedBy: "logger.").dropFirst() {
                guard let match = call.prefixMatch(of: #/(critical|error|warning|notice|info)\(\s*"([^"]+)"/#) else { continue }
                let entry = "\(match.output.1): \(match.output.2)"
                all.insert(entry)
                // What is said at level info is for whoever is curious.
                if match.output.1 != "info" { logged.insert(entry) }
            }
        }
        let header = "| Level | Message | What to do |"
        let rows = zip(
            Self.cells(of: "docs/operations.md", below: header),
            Self.cells(of: "docs/operations.md", below: header, column: 1))
        // The stores log under labels of their own.
        let page = Set(rows.filter { !$0.0.contains("`perdure.") }.map { "\($0.0): \($0.1)" })
        #expect(logged.count > 20)
        expectNone(logged.subtracting(page).sorted(), "docs/operations.md lacks these messages")
        expectNone(page.subtracting(all).sorted(), "docs/operations.md has messages that nothing logs")
    }

    @Test("the page about errors lists every code of a StepFailure, and no other")
    func stepFailures() {
        let codes = Self.names(in: "Sources/Perdure/StepFailure.swift", #/public static let \w+ = "(\w+)"/#)
        let page = Self.codeWords(in: Self.cells(of: "docs/errors/README.md", below: "| Code | Meaning |"))
        #expect(codes.count > 8)
        expectNone(codes.subtracting(page).sorted(), "docs/errors/README.md lacks these")
        expectNone(page.subtracting(codes).sorted(), "docs/errors/README.md has codes that no StepFailure has")
    }
}
