import Foundation
import Perdure
import PerdureCommands
import PerdureHistory
import PerdureStore
import Testing

/// What an operator does after a backup was put back.
@Suite(.timeLimit(.minutes(5))) struct RecoverCommandTests {
    @Test func aStoreThatWasRestoredIsRecoveredBeforeAnybodyGoesOn() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            #expect(await desk.type("recover", "--restored", "--yes").status != .success, "an engine is there")
        }
        #expect(await desk.type("recover").status == .usage)
        #expect(await desk.type("recover", "--restored", "--dry-run").output == "1 open run would be marked.\n")
        let unasked = await desk.type("recover", "--restored")
        #expect(unasked.status == .usage && unasked.errors.contains("--yes"))
        #expect(await desk.type("nodes", "--json").json?["held"] == false)
        let done = await desk.type("recover", "--restored", "--yes", "--json", as: "bob").json
        #expect(done?["recovered"] == true && done?["runs"] == 1 && done?["reason"]?.stringValue?.contains("bob") == true)
        let run = try #require(await desk.type("list", "--json").json?.arrayValue?.first?["run"]?.stringValue)
        let shown = await desk.type("show", run)
        #expect(shown.output.contains("what followed may be lost"))
        #expect(await desk.type("verify", "--all").status == .success)
    }
}
