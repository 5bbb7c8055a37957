import PerdureProcess
import Testing

/// The commands that `perdure` alone has, as child processes.
@Suite(.timeLimit(.minutes(2))) struct ToolsTests {
    private func status(_ words: [String]) async throws -> Int32 {
        let process = try LineProcess(executable: CrashHarness.executable, words, isHeard: false)
        for await _ in process.lines {}
        return await process.wait()
    }

    @Test(arguments: ["serve", "config", "demo", "bench", "swarm", "failures", "simulate"])
    func `words that make no sense end a command with 2, and help with 0`(_ command: String) async throws {
        #expect(try await status([command, "--no-such-flag"]) == 2)
        #expect(try await status([command, "--help"]) == 0)
    }

    @Test(arguments: [["failures", "--runs", "0"], ["simulate", "--seeds", "0"], ["demo", "--seed", "many"], ["bench", "z"]])
    func `a value that makes no sense ends a command with 2`(_ words: [String]) async throws {
        #expect(try await status(words) == 2)
    }
}
