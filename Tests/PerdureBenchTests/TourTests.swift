import Foundation
import PerdureProcess
import Testing

/// Workflows that together take every transition of the run machine, each interrupted at every checkpoint, as a child process. `make
/// mutants` shows what they find.
@Suite(.timeLimit(.minutes(10))) struct TourTests {
    // Promise: 44
    @Test func `every place of the tour survives every interruption, and comes to what it has to`() async throws {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let program = URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "perdure").path
        let process = try LineProcess(executable: program, ["tour"], isHeard: false)
        var lines: [String] = []
        for await line in process.lines { lines.append(String(decoding: line, as: UTF8.self)) }
        #expect(await process.wait() == 0, "\(lines.filter { !$0.hasPrefix("✓") }.joined(separator: "\n"))")
        #expect(lines.count > 20)
    }
}
