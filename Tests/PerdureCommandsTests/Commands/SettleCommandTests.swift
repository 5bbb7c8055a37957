import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What an operator says of a run once what was lost of it has been looked at.
@Suite(.timeLimit(.minutes(5))) struct SettleCommandTests {
    @Test func aRunIsSettledOnceAndOnlyAfterALoss() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
        }
        let run = try #require(await desk.type("list", "--json").json?.arrayValue?.first?["run"]?.stringValue)
        let early = await desk.type("settle", run)
        #expect(early.status == .conflict && early.errors.contains("run_not_restored"))
        #expect(await desk.type("settle", UUID().uuidString.lowercased()).status == .notFound)
        #expect(await desk.type("recover", "--restored", "--yes").status == .success)
        let accepted = await desk.type("settle", run, "--reason", "compared with the bank", as: "bob")
        #expect(accepted.status == .success)
        try await desk.hosting { _ in try await desk.until(run) { $0.lostPart == nil } }
        let shown = await desk.type("show", run).output
        #expect(shown.contains("what was lost has been looked at") && shown.contains("bob") && shown.contains("compared"))
        #expect(await desk.type("settle", run).status == .conflict)
        #expect(await desk.type("settle", "--workflow", "wait", "--yes").status == .conflict)
        #expect(await desk.type("verify", "--all").status == .success)
    }
}
