import Foundation
import Perdure
import PerdureHistory
import Testing

@testable import PerdureEngine

/// Thousands of small runs of random code in a random world. `PERDURE_SEED` repeats one; `PERDURE_CASES` sets how many.
@Suite struct MachineRandomRunTests {
    @Test func `whatever happens, a run keeps its promises and comes to an end`() throws {
        let environment = ProcessInfo.processInfo.environment
        let first = environment["PERDURE_SEED"].flatMap(UInt64.init)
        let count = first == nil ? environment["PERDURE_CASES"].flatMap(UInt64.init) ?? 3_000 : 1
        let base = first ?? UInt64.random(in: 0..<1 << 48)
        print("random runs from seed \(base)")
        var failures = 0
        for seed in base..<base + count where failures < 3 {
            var problem: String?
            var run = try RandomRun(seed: seed)
            do {
                try run.play()
                // After a reset some things are done once more, as they may be.
                problem = (run.driver.kinds.contains(.runReset) ? run.driver.problems() : run.driver.violations()).first
            } catch {
                problem = "\(error)"
            }
            guard let problem else { continue }
            failures += 1
            Issue.record("PERDURE_SEED=\(seed): \(problem)")
            print("seed \(seed): \(problem)\n\(run.driver.code)\n\(run.deeds.joined(separator: "\n"))")
        }
    }
}
