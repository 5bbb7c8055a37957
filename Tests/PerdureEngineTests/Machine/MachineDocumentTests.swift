import Foundation
import Testing

@testable import PerdureEngine

/// What the documents say of the machine is what the machine and its tests do.
@Suite struct MachineDocumentTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private func document(_ name: String) throws -> [Substring] {
        try String(contentsOf: Self.root.appending(path: "docs/\(name)"), encoding: .utf8).split(separator: "\n")
    }

    /// The names of the test functions in this folder, or one beside it.
    private func tests(in suffix: String, of folder: String = "Machine") throws -> Set<String> {
        let folder = Self.root.appending(path: "Tests/PerdureEngineTests/\(folder)")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(suffix) }
        var names: Set<String> = []
        for file in files {
            let source = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
            for match in source.matches(of: /func `([^`]+)`\(/) { names.insert(String(match.1)) }
        }
        return names
    }

    @Test func `the diagram shows the transitions of the machine`() throws {
        // Steps and undos first, then children.
        var diagrams: [Set<String>] = []
        for line in try document("state-machine.md") {
            if line.hasPrefix("stateDiagram") { diagrams.append([]) }
            guard let match = line.wholeMatch(of: /\s*(\w+) --> (\w+)/) else { continue }
            diagrams[diagrams.count - 1].insert("\(match.1) → \(match.2)")
        }
        let machines = [StepTransition.all.map(\.description), ChildTransition.all.map(\.description)]
        try #require(diagrams.count == machines.count)
        for (drawn, machine) in zip(diagrams, machines) {
            #expect(drawn.subtracting(machine).sorted() == [], "drawn, but not there")
            #expect(Set(machine).subtracting(drawn).sorted() == [], "there, but not drawn")
        }
    }

    @Test func `every phase is explained`() throws {
        let parts = try document("state-machine.md").split(separator: "## A child")
        try #require(parts.count == 2)
        for phase in StepPhase.allCases { #expect(parts[0].contains { $0.hasPrefix("| `\(phase)` |") }, "\(phase)") }
        for phase in ChildPhase.allCases { #expect(parts[1].contains { $0.hasPrefix("| `\(phase)` |") }, "child \(phase)") }
    }

    @Test func `every row of the semantics names a test that exists`() throws {
        let names = try tests(in: "Scenarios.swift").union(tests(in: "Tests.swift")).union(tests(in: "Tests.swift", of: "Engine"))
            .union(tests(in: "Tests.swift", of: "../PerdureTestingTests"))
            .union(tests(in: "Tests.swift", of: "../PerdureTestingTests/Queues"))
        var rows = 0
        for line in try document("semantics.md") where line.hasPrefix("| ") && !line.hasPrefix("| situation") {
            rows += 1
            let cells = line.split(separator: "|")
            let test = try #require(cells.last).trimmingCharacters(in: .whitespaces)
            #expect(cells.count == 6, "\(line)")
            let isThere = names.contains(test.trimmingCharacters(in: ["`"]))
            #expect(isThere, "there is no test \(test)")
        }
        #expect(rows > 60)
    }

    @Test func `the list of scenarios is complete`() throws {
        let list = Self.root.appending(path: "Tests/PerdureEngineTests/Machine/Support/ScenarioList.swift")
        let text = try String(contentsOf: list, encoding: .utf8)
        for name in try tests(in: "Scenarios.swift") { #expect(text.contains("`\(name)`"), "\(name)") }
    }
}
