import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct StandstillCommandTests {
    private func waiting(_ desk: Desk, _ engine: Engine) async throws -> String {
        let run = try await desk.start(engine, "wait")
        try await desk.until(run) { record, view in record.state == .waiting && view.step("prepare")?.isOver == true }
        return run
    }

    @Test func aRunIsPausedAndResumed() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await waiting(desk, engine)
            #expect(await desk.type("pause", run, "--reason", "audit").output.contains("The pause of run \(run) is accepted."))
            try await desk.until(run) { record, _ in record.state == .paused }
            let explained = await desk.type("explain", run).output
            #expect(explained.contains("is paused by human ada (unauthenticated) (audit)"))
            #expect(explained.contains("app resume \(run)"))
            #expect(await desk.type("resume", run, "--json").json?["accepted"] == "resume")
            try await desk.until(run) { record, _ in record.state == .waiting }
            let shown = await desk.type("show", run).output
            #expect(shown.contains(#"paused by human ada (unauthenticated): "audit""#))
            #expect(shown.contains("resumed by human ada (unauthenticated)"))
            #expect(await desk.type("verify", run).status == .success)
        }
    }

    @Test func aRunIsPinnedToAnotherVersion() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await waiting(desk, engine)
            #expect(await desk.type("repin", run, "--to", "1").status == .usage)
            #expect(await desk.type("repin", run, "--to", "a b").status == .usage)
            #expect(await desk.type("repin", run).status == .usage)
            #expect(await desk.type("repin", run, "--to", "9").status == .success)
            try await desk.until(run) { record, _ in record.version == "9" }
            let shown = await desk.type("show", run).output
            #expect(shown.contains("goes on with version 9 in place of 1, says human ada (unauthenticated)"))
            #expect(await desk.type("explain", run).output.contains("the next engine that hosts wait 9 takes it on"))
            #expect(await desk.type("verify", run).status == .success)
        }
    }

    // Promise: 25
    @Test func manyRunsAreShownFirstAndThenActedOn() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let runs = [try await waiting(desk, engine), try await waiting(desk, engine)]
            let preview = await desk.type("pause", "--workflow", "wait", "--dry-run")
            #expect(preview.status == .success && preview.output.contains("would pause \(runs[0])  wait 1  waiting"))
            #expect(preview.output.contains("2 runs in all."))
            let dry = await desk.type("pause", "--workflow", "wait", "--dry-run", "--json").json
            #expect(dry?["dry_run"] == true && dry?["runs"]?.arrayValue?.count == 2 && dry?["accepted"] == 0)
            let unasked = await desk.type("pause", "--workflow", "wait")
            #expect(unasked.status == .usage && unasked.errors.contains("--yes"))
            #expect(await desk.type("pause", "--workflow", "wait", answer: "n").output.contains("Nothing was done."))
            let declined = await desk.type("pause", "--workflow", "wait", "--json", answer: "n")
            #expect(declined.status == .failed && declined.output == "" && declined.errors.contains("Nothing was done."))
            #expect(await desk.type("pause", "--workflow", "wait", answer: "y").output.contains("pause: accepted by 2 runs"))
            for run in runs { try await desk.until(run) { record, _ in record.state == .paused } }
            let resumed = await desk.type("resume", "--workflow", "wait", "--yes", "--json").json
            #expect(resumed?["accepted"] == 2 && resumed?["refused"] == 0 && resumed?["dry_run"] == false)
            for run in runs { try await desk.until(run) { record, _ in record.state == .waiting } }
            #expect(await desk.type("cancel", "--state", "parked", "--yes").output.contains("No run is meant."))
            #expect(await desk.type("cancel", "--older-than", "1d", "--dry-run").output.contains("No run is meant."))
            desk.clock.advance(by: .seconds(172_800))
            #expect(await desk.type("cancel", "--older-than", "1d", "--yes").status == .success)
            for run in runs { try await desk.untilClosed(run) }
        }
    }

    @Test func aRunOrAFilterIsNeededAndNotBoth() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "greet", #"{"name":"Ada"}"#)
            #expect(await desk.type("cancel").status == .usage)
            #expect(await desk.type("cancel", run, "--workflow", "greet").status == .usage)
            #expect(await desk.type("pause", run, "--dry-run").status == .usage)
            #expect(await desk.type("cancel", "--state", "completed", "--yes").status == .usage)
        }
    }
}
