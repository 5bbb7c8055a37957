import Foundation
import Testing

/// Faults that are put in on purpose stay where they belong.
@Suite struct MutantTests {
    private static let list = Repository.text("Sources/PerdureCLI/Mutants/MutantList.swift") ?? ""

    /// The names at the places in the engine and in the stores.
    private static let places: [String] = Repository.sources.filter { $0.target != "PerdureCLI" }.flatMap { file in
        file.text.matches(of: #/Mutant\.isOn\("([^"]+)"\)/#).map { String($0.1) }
    }

    @Test("every mutant has its place, and every place its mutant")
    func names() throws {
        let seeded = try #require(Self.list.split(separator: "static let seeded = [").last?.prefix { $0 != "]" })
        let listed = Set(seeded.matches(of: #/"([^"]+)"/#).map { String($0.1) })
        let transitions: Set = [#"step: \(self)"#, #"child: \(self)"#]
        #expect(listed.count >= 10)
        #expect(Set(Self.places) == listed.union(transitions))
        for transition in transitions { #expect(Self.places.filter { $0 == transition }.count == 1) }
    }

    @Test("no mutant can be switched on but in the build of 'make mutants'")
    func builds() throws {
        #if PERDURE_MUTANTS
            Issue.record("these tests are built with mutants")
        #endif
        // Whatever the environment says: where there are places, it is a constant of the target.
        for target in Set(Repository.sources.filter { $0.text.contains("Mutant.isOn(") }.map(\.target)) {
            let text = Repository.text("Sources/\(target)/Mutant.swift") ?? ""
            #expect(text.hasPrefix("#if !PERDURE_MUTANTS\n") && text.contains("-> Bool { false }"), "\(target)")
        }
        let users = (Repository.paths(below: "Scripts") + ["Makefile", ".ci/run"]).flatMap { path in
            (Repository.text(path) ?? "").split(separator: "\n").filter { $0.contains("PERDURE_MUTANTS=1") }.map {
                "\(path): \($0)"
            }
        }
        #expect(users.count == 1 && users[0].contains("--scratch-path .build-mutants"))
    }
}
