import Foundation
import PerdureCLI
import Testing

/// The demo itself, as a child process whose output is one JSON object.
@Suite(.serialized) struct DemoTests {
    private struct Figures: Decodable {
        let kills: Int
        let killsByBoundary: [String: Int]
        let effectsWanted: Int
        let effectsCounted: Int
        let requestsReceived: Int
        let duplicates: Int
        let lost: Int
        let runs: Int
        let runsFinished: Int
    }

    private func demo(_ arguments: String...) async throws -> (status: Int32, figures: Figures) {
        let process = Process(), output = Pipe()
        process.executableURL = URL(fileURLWithPath: CrashHarness.executable)
        process.arguments = ["demo", "--json"] + arguments
        process.standardOutput = output
        let (exits, exit) = AsyncStream<Int32>.makeStream()
        process.terminationHandler = { exit.yield($0.terminationStatus) }
        try process.run()
        let (texts, text) = AsyncStream<Data>.makeStream()
        Thread.detachNewThread {
            text.yield(output.fileHandleForReading.readDataToEndOfFile())
            text.finish()
        }
        var json = Data(), status: Int32 = -1
        for await data in texts { json = data }
        for await code in exits {
            status = code
            break
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return (status, try decoder.decode(Figures.self, from: json))
    }

    // Promise: 1, 4, 13
    @Test func everyEffectHappensOnceHoweverOftenTheEngineIsKilled() async throws {
        let (status, figures) = try await demo("--seed", "1")
        #expect(status == 0)
        #expect(figures.duplicates == 0 && figures.lost == 0)
        #expect(figures.effectsCounted == figures.effectsWanted && figures.effectsWanted > 0)
        #expect(figures.requestsReceived > figures.effectsCounted)
        #expect(figures.runsFinished == figures.runs)
        #expect(figures.kills >= 25)
        for boundary in Boundary.allCases { #expect(figures.killsByBoundary[boundary.rawValue, default: 0] >= 1, "\(boundary)") }
    }

    @Test func withoutDefencesTheSameDemoReportsDuplicates() async throws {
        let (status, figures) = try await demo("--seed", "1", "--without-defences")
        #expect(status == 1)
        #expect(figures.duplicates > 0)
        #expect(figures.kills >= 25)
    }
}
