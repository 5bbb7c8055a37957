import Foundation
import PerdureProcess
import Testing

/// A few hundred clusters as a child process. `make simulate` lets thousands live and die.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SimulateTests {
    private struct Tally: Decodable {
        let seeds: Int
        let violations: Int
        let runs: Int
        let crashes: Int
        let freezes: Int
    }

    private func simulate(_ arguments: String...) async throws -> (status: Int32, tally: Tally, lines: [String]) {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let program = URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "perdure").path
        let process = try LineProcess(executable: program, ["simulate"] + arguments, isHeard: false)
        var lines: [String] = []
        for await line in process.lines { lines.append(String(decoding: line, as: UTF8.self)) }
        let last = try #require(lines.last)
        return (await process.wait(), try JSONDecoder().decode(Tally.self, from: Data(last.utf8)), lines)
    }

    @Test func `whatever fails, nothing is lost and nothing happens twice in three hundred clusters`() async throws {
        let (status, tally, lines) = try await simulate("--seeds", "300")
        #expect(status == 0 && tally.violations == 0, "\(lines.filter { $0.hasPrefix("seed") })")
        #expect(tally.seeds == 300 && tally.runs > 600 && tally.crashes > 75 && tally.freezes > 75)
    }

    @Test(arguments: ["keys", "intents", "probes"]) func `without a defence some seed goes wrong`(_ defence: String) async throws
    {
        let (status, tally, _) = try await simulate("--seeds", "40", "--without", defence, "--json")
        #expect(status == 1 && tally.violations > 0)
    }

    @Test func `a seed that goes wrong is told as a smaller one that goes wrong too`() async throws {
        var seed = 1
        while seed < 60, try await simulate("--seed", "\(seed)", "--without", "keys", "--json").status == 0 { seed += 1 }
        let (status, _, lines) = try await simulate("--seed", "\(seed)", "--without", "keys")
        let smaller = try #require(lines.firstIndex(of: "Made smaller:"))
        #expect(status == 1 && lines[smaller...].contains { $0.hasPrefix("  WRONG: ") })
        func size(_ lines: ArraySlice<String>) -> Int { lines.filter { $0.hasPrefix("  fault:") || $0.contains("  run ") }.count }
        #expect(size(lines[smaller...]) < size(lines[..<smaller]))
    }

    @Test func `a seed tells the same story every time`() async throws {
        let first = try await simulate("--seed", "3").lines
        #expect(first.count > 20)
        #expect(try await simulate("--seed", "3").lines == first)
    }
}
