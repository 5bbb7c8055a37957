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
        let metrics = Self.names(in: "Sources/PerdureEngine/Engine/EngineMetrics.swift", #/label: "(\w+)"/#)
        let named = Self.names(in: "docs/operations.md", #/`(perdure_\w+)`/#)
        #expect(!metrics.isEmpty)
        expectNone(metrics.subtracting(named).sorted(), "docs/operations.md lacks these metrics")
        expectNone(named.subtracting(metrics).sorted(), "docs/operations.md names metrics that do not exist")
    }

    @Test("the page about operation lists every state of a run")
    func states() {
        let page = Repository.text("docs/operations.md") ?? ""
        for state in [
            "ready", "running", "waiting", "blocked", "parked", "paused", "quarantined", "completed", "failed", "cancelled",
            "terminated",
        ] {
            #expect(page.contains("| `\(state)` |"), "docs/operations.md lacks the state '\(state)'")
        }
    }
}
