import Foundation
import Perdure
import Testing

@Suite struct WorkflowVersionTests {
    @Test("Versions are compared number by number")
    func numbers() {
        let ordered: [WorkflowVersion] = ["0.9", "1", "1.0", "1.0.1", "1.2", "1.9", "1.10", "2", "10"]
        #expect(ordered.shuffled().sorted() == ordered)
    }

    @Test("Words come after numbers and are compared as text")
    func words() {
        let ordered: [WorkflowVersion] = ["1", "1.2", "1.10", "1.1a", "1.a", "1.b", "2", "1a", "beta"]
        #expect(ordered.shuffled().sorted() == ordered)
    }

    @Test("Of any three versions the order is total: one of two is less unless they are equal, and less is transitive")
    func total() {
        let parts = ["0", "1", "01", "2", "10", "1a", "9a", "a", "99999999999999999999"]
        let versions = (parts + parts.flatMap { left in ["0", "10", "1a"].map { "\(left).\($0)" } }).map { WorkflowVersion($0) }
        for a in versions {
            for b in versions {
                #expect([a < b, b < a, a == b].filter { $0 }.count == 1, "\(a) and \(b)")
                for c in versions where a < b && b < c { #expect(a < c, "\(a), \(b), \(c)") }
            }
        }
    }

    @Test("What can be a version is checked part by part")
    func validity() {
        for text in ["1", "1.3", "2026.05.01-rc_1", String(repeating: "1", count: 64)] {
            #expect(WorkflowVersion(text).isValid, "\(text)")
        }
        for text in ["", ".", "1.", ".1", "1..2", "1 2", "1/2", "é", "1\n", String(repeating: "1", count: 65)] {
            #expect(!WorkflowVersion(text).isValid, "\(text)")
        }
    }

    @Test("A version is coded as its text")
    func coding() throws {
        let bytes = try JSONEncoder().encode(["1.10" as WorkflowVersion])
        #expect(String(decoding: bytes, as: UTF8.self) == #"["1.10"]"#)
        #expect(try JSONDecoder().decode([WorkflowVersion].self, from: bytes) == ["1.10"])
    }
}
