import Foundation
import Perdure
import PerdureCommands
import PerdureHistory
import Testing

@Suite(.timeLimit(.minutes(5))) struct AttemptsCommandTests {
    // Promise: 48
    @Test func `runs that came through at the first attempt are shown by workflow`() async throws {
        let desk = try Desk()
        for name in ["A", "B"] { await desk.type("start", "greet", "--input", #"{"name":"\#(name)"}"#) }
        let reply = await desk.type("attempts")
        #expect(reply.status == .success && reply.output.contains("2 (100 %)"))
        let found = await desk.type("attempts", "--workflow", "greet", "--within", "7d", "--json").json
        let report = try #require(found?["workflows"]?.arrayValue?.first?.objectValue)
        #expect(report["workflow"] == "greet" && report["closed"] == 2 && report["at_first_attempt"] == 2)
        #expect(report["failed_attempts"] == 0 && report["failed_by_engine"] == 0 && report["unread"] == 0)
        #expect(await desk.type("attempts", "--workflow", "ship").output == "No run has closed.\n")
        #expect(await desk.type("attempts", "--within", "soon").status == .usage)
    }
}
