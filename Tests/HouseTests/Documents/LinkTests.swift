import Foundation
import Testing

/// Every link of the README and of the pages below docs leads somewhere.
@Suite struct LinkTests {
    @Test("every link to a file finds it, and every link to a heading finds that")
    func links() {
        var broken: [String] = []
        for page in Repository.pages {
            for (index, line) in Self.prose(page).enumerated() {
                for match in line.matches(of: #/\]\(([^)\s]+)\)/#) {
                    if let reason = Self.problem(String(match.output.1), on: page) {
                        broken.append("\(page.path):\(index + 1): \(match.output.1): \(reason)")
                    }
                }
            }
        }
        expectNone(broken, "mend these links")
    }

    @Test("every page can be reached from the README")
    func reachable() {
        var reached: Set<String> = [], open = ["README.md"]
        while let path = open.popLast() {
            guard reached.insert(path).inserted, let page = Repository.pages.first(where: { $0.path == path }) else { continue }
            for line in Self.prose(page) {
                open += line.matches(of: #/\]\(([^)\s]+)\)/#).compactMap { Self.target(String($0.output.1), on: page)?.path }
            }
        }
        expectNone(Repository.pages.map(\.path).filter { !reached.contains($0) }, "link to these pages")
    }

    @Test("files that pages name in passing exist")
    func namedFiles() {
        var missing: [String] = []
        for page in Repository.pages {
            for (index, line) in page.lines.enumerated() {
                for match in line.matches(of: #/`((?:Sources|Tests|Scripts|Examples|docs|\.ci)\/[\w\/.+-]+)`/#) {
                    let path = String(match.output.1)
                    if !Repository.exists(path) { missing.append("\(page.path):\(index + 1): \(path)") }
                }
            }
        }
        expectNone(missing, "these files do not exist")
    }

    /// The lines without what stands in code blocks.
    static func prose(_ page: SourceFile) -> [Substring] {
        var isCode = false
        return page.lines.map { line in
            if line.trimmed.hasPrefix("```") { isCode.toggle() }
            return isCode ? "" : line
        }
    }

    private static func target(_ link: String, on page: SourceFile) -> (path: String, heading: String?)? {
        if link.contains("://") || link.hasPrefix("mailto:") { return nil }
        let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let heading = parts.count > 1 ? parts[1] : nil
        if parts[0].isEmpty { return (page.path, heading) }
        var folders = page.path.split(separator: "/").dropLast().map(String.init)
        for part in parts[0].split(separator: "/") where part != "." {
            if part == ".." { _ = folders.popLast() } else { folders.append(String(part)) }
        }
        return (folders.joined(separator: "/"), heading)
    }

    private static func problem(_ link: String, on page: SourceFile) -> String? {
        guard let (path, heading) = target(link, on: page) else { return nil }
        guard Repository.exists(path) else { return "there is no \(path)" }
        guard let heading, let other = Repository.pages.first(where: { $0.path == path }) else { return nil }
        let anchors = prose(other).filter { $0.hasPrefix("#") }.map(anchor)
        return anchors.contains(heading) ? nil : "\(path) has no heading '\(heading)'"
    }

    /// A heading the way GitHub makes an anchor of it.
    private static func anchor(_ heading: Substring) -> String {
        let text = heading.drop { $0 == "#" }.trimmed.lowercased()
        return String(text.compactMap { $0 == " " ? "-" : $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? $0 : nil })
    }
}
