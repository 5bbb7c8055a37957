import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import Testing

struct Adder: Workflow {
    static let name = "adder"
    static let version: WorkflowVersion = "1"
    func run(_ n: Int, _ context: WorkflowContext) async throws -> Int {
        var sum = 0
        for i in 0..<n {
            sum += try await context.read("add", input: i) { i, _ in i }
        }
        try await context.sleep(for: .milliseconds(5))
        return sum
    }
}

@Suite struct EngineSmokeTests {
    @Test func aRunRunsToItsEnd() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let engine = try await Engine(store: .sqlite(folder.appending(path: "a.db").path)) { Adder() }
        try await withThrowingTaskGroup { group in
            group.addTask { try await engine.run() }
            let clock = ContinuousClock.now
            let run = try await engine.start(Adder.self, input: 10, by: Principal(.human, "ada"))
            #expect(try await run.result() == 45)
            print("took", ContinuousClock.now - clock)
            for event in try await engine.client.history(of: run.id) { print(event.seq, event.kind.rawValue, event.subject, event.attributes) }
            group.cancelAll()
        }
    }
}
