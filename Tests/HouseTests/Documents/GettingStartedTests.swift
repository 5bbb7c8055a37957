import Foundation
import Synchronization
import Testing

/// What docs/getting-started.md does at the command line.
@Suite struct GettingStartedTests {
    // Promise: 7
    @Test("the program of the first page starts, shows, signals and verifies a run")
    func commands() async throws {
        try await withFolder { folder in
            let program = try Program.built("GettingStarted")
            let isOver = Mutex(false)
            async let hosting = Self.host(program, in: folder) { isOver.withLock { $0 = true } }
            let run = try await Self.waitingRun(program, in: folder) { isOver.withLock { $0 } }
            let signal = try await Program.run(program, ["signal", run, "paid", "--payload", #"{"cents":4200}"#], in: folder)
            #expect(signal.status == 0, "\(signal.errors)")
            let hosted = try await hosting
            #expect(hosted.status == 0, "\(hosted.output)\(hosted.errors)")

            let show = try await Program.run(program, ["show", run], in: folder)
            #expect(show.output.contains("send") && show.output.contains("paid"), "\(show.output)\(show.errors)")
            let verify = try await Program.run(program, ["verify", "--all"], in: folder)
            #expect(verify.status == 0, "\(verify.output)\(verify.errors)")
        }
    }

    private static func host(_ program: String, in folder: URL, onEnd: () -> Void) async throws -> Program {
        defer { onEnd() }
        return try await Program.run(
            program, ["start", "dunning", "--input", #"{"number":"7","cents":4200}"#, "--key", "7"], in: folder)
    }

    /// Asks the program until its other process has a run that waits, or has ended. Each look is a process; there is nothing else to
    /// wait for.
    private static func waitingRun(_ program: String, in folder: URL, isOver: () -> Bool) async throws -> String {
        while !isOver() {
            let list = try await Program.run(program, ["list", "--state", "waiting", "--json"], in: folder)
            if let id = list.output.firstMatch(of: #/"run":"([0-9a-f-]{36})"/#)?.output.1 { return String(id) }
        }
        throw NothingWaits()
    }

    private struct NothingWaits: Error {}
}
