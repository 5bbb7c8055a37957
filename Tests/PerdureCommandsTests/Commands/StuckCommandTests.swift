import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct StuckCommandTests {
    private func parked(_ desk: Desk, _ engine: Engine, _ workflow: String) async throws -> String {
        let run = try await desk.start(engine, workflow)
        try await desk.until(run) { record, _ in record.state == .parked }
        return run
    }

    @Test func aDeadLetterIsTriedAgain() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await parked(desk, engine, "stuck")
            let explained = await desk.type("explain", run).output
            #expect(explained.contains("is parked") && explained.contains("app retry \(run) call"))
            #expect(await desk.type("approvals").output.contains("Stuck: 'call' in stuck"))
            #expect(await desk.type("retry", run).status == .success)
            try await desk.untilClosed(run)
            #expect(await desk.type("show", run).output.contains("retry by human ada (unauthenticated)"))
            #expect(await desk.type("retry", run).status == .conflict)
        }
    }

    @Test func aStepInDoubtIsResolvedAndNotRetried() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await parked(desk, engine, "doubt")
            let explained = await desk.type("explain", run).output
            #expect(explained.contains("Step 'send' is in doubt") && explained.contains("resolve \(run) send --did-not-happen"))
            #expect(await desk.type("approvals", "--json").json?.arrayValue?.first?["kind"] == "in_doubt")
            let retried = await desk.type("retry", run, "send")
            #expect(retried.status == .conflict && retried.errors.contains("resolve"))
            #expect(
                await desk.type("resolve", run, "send", "--happened", "--result", #""r-1""#, "--reason", "seen").status
                    == .success)
            try await desk.untilClosed(run)
            let shown = await desk.type("show", run).output
            #expect(shown.contains(#"it happened, says human ada (unauthenticated): "seen" → "r-1""#))
            #expect(await desk.type("verify", run).status == .success)
            #expect(await desk.type("resolve", run, "send", "--abort").status == .conflict)
        }
    }

    @Test func aStepThatHappenedIsUndone() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await parked(desk, engine, "doubt")
            #expect(await desk.type("resolve", run, "send", "--undo", "--result", #""r-1""#).status == .success)
            try await desk.untilClosed(run)
            let events = await desk.type("show", run, "--json").json?["events"]?.arrayValue
            let kinds = events?.compactMap { $0["kind"]?.stringValue }
            #expect(kinds?.contains("undo.succeeded") == true && kinds?.last == "run.failed")
            let explained = await desk.type("explain", run, "--json").json
            #expect(explained?["state"] == "failed")
        }
    }

    @Test func anAbortedStepFailsTheRun() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await parked(desk, engine, "doubt")
            let early = await desk.type("resolve", run, "send", "--abort")
            #expect(early.status == .conflict && early.errors.contains("may still act until"))
            desk.clock.advance(by: .seconds(120))
            #expect(await desk.type("resolve", run, "send", "--abort").status == .success)
            try await desk.untilClosed(run)
            #expect(await desk.type("explain", run).output.contains("failed"))
        }
    }

    @Test func aVerdictIsNeededAndOnlyOne() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await parked(desk, engine, "doubt")
            #expect(await desk.type("resolve", run, "send").status == .usage)
            #expect(await desk.type("resolve", run, "send", "--abort", "--happened").status == .usage)
            #expect(await desk.type("resolve", run, "send", "--abort", "--result", "1").status == .usage)
            #expect(await desk.type("resolve", run, "receive", "--abort").status == .notFound)
            #expect(await desk.type("resolve", run, "send", "--happened", "--result", "x").status == .usage)
        }
    }
}
