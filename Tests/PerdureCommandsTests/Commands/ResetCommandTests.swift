import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct ResetCommandTests {
    @Test func aRunIsShownWhatAResetWouldDoAndThenReset() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, view in record.state == .waiting && view.step("prepare")?.isOver == true }
            let dry = await desk.type("reset", run, "--to", "1", "--dry-run")
            #expect(dry.status == .success && dry.output.contains("adopt  prepare  (event "))
            let json = await desk.type("reset", run, "--to", "1", "--completed", "keep", "--dry-run", "--json").json
            #expect(json?["dry_run"] == true && json?["completed"]?.arrayValue?.first?["choice"] == "keep")
            #expect(await desk.type("reset", run, "--to", "0").status == .usage)
            #expect(await desk.type("reset", run, "--to", "99").status == .conflict)
            #expect(await desk.type("reset", run, "--to", "1", "--adopt", "prepare", "--keep", "prepare").status == .usage)
            #expect(await desk.type("reset", run, "--to", "1", "--keep", "nothing").status == .notFound)
            let done = await desk.type("reset", run, "--to", "1", "--reason", "once more")
            #expect(done.status == .success && done.output.contains("The reset of run \(run) to event 1 is accepted."))
            try await desk.until(run) { record, view in record.state == .waiting && !view.standing.resets.isEmpty }
            let shown = await desk.type("show", run).output
            #expect(shown.contains(#"goes on after event 1, says human ada (unauthenticated): "once more""#))
            #expect(await desk.type("verify", run).status == .success)
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct ForkCommandTests {
    @Test func aRunIsForked() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, view in record.state == .waiting && view.step("prepare")?.isOver == true }
            let json = await desk.type("fork", run, "--at", "1", "--reason", "once more", "--json").json
            #expect(json?["run"]?.stringValue == run)
            let fork = try #require(json?["fork"]?.stringValue)
            try await desk.until(fork) { record, view in record.state == .waiting && view.step("prepare")?.isOver == true }
            #expect(await desk.type("show", fork).output.contains("goes on from event 1 of run \(run), says human ada"))
            #expect(await desk.type("verify", fork).status == .success)
            #expect(await desk.type("fork", run, "--at", "0").status == .usage)
            #expect(await desk.type("fork", run, "--at", "99").status == .conflict)
        }
    }
}
