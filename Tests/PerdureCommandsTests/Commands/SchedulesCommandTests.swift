import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import Testing

/// `schedules` and what it does to them.
@Suite(.timeLimit(.minutes(5))) struct SchedulesCommandTests {
    /// A store that has been made, and that nobody hosts.
    private func desk() async throws -> Desk {
        let desk = try Desk()
        try await desk.hosting { _ in }
        return desk
    }

    private func create(_ desk: Desk, _ more: String...) async -> Desk.Reply {
        await desk.type(
            [
                "schedules", "create", "nightly", "--workflow", "greet", "--input", #"{"name":"Ada"}"#, "--cron", "30 2 * * *",
                "--zone", "Europe/Berlin",
            ] + more)
    }

    @Test func aScheduleIsMadeListedAndShown() async throws {
        let desk = try await desk()
        #expect(await desk.type("schedules").output == "No schedules.\n")
        let made = await create(desk, "--overlap", "queue", "--catch-up", "2h", "--jitter", "5m", "--label", "team=ops", "--json")
        #expect(
            made.status == .success && made.json?["new"] == true && made.json?["due_times"]?.arrayValue?.count == 3, "\(made)")
        #expect(
            await create(desk, "--overlap", "queue", "--catch-up", "2h", "--jitter", "5m", "--label", "team=ops").output
                .hasPrefix("Schedule nightly is there: 30 2 * * * in Europe/Berlin.\n"))
        let listed = await desk.type("schedules", "--json").json?.arrayValue ?? []
        #expect(
            listed.count == 1 && listed[0]["id"] == "nightly" && listed[0]["overlap"] == "queue"
                && listed[0]["catch_up_seconds"] == 7_200)
        #expect(
            listed[0]["labels"] == ["team": "ops"] && listed[0]["input"] == ["name": "Ada"]
                && listed[0]["created_by"] == "human ada (unauthenticated)")
        let table = await desk.type("schedules", "list").output
        #expect(
            table.hasPrefix("SCHEDULE  WHEN                         WORKFLOW  NEXT")
                && table.contains("\nnightly   30 2 * * * in Europe/Berlin"))
        let shown = await desk.type("schedules", "show", "nightly", "--count", "2")
        #expect(
            shown.output.contains("Due next:\n") && shown.output.contains("T02:30:00+0")
                && shown.output.hasSuffix(" Europe/Berlin\n"), "\(shown)")
        #expect(
            await desk.type("schedules", "show", "nightly", "--json", "--count", "2").json?["due_times"]?.arrayValue?.count == 2)
    }

    @Test func dueTimesAreShownInUTCAndOnTheWall() async throws {
        let desk = try await desk()
        _ = await desk.type(
            "schedules", "create", "w", "--workflow", "greet", "--cron", "0 12 * * *", "--zone", "Asia/Kolkata", "--input",
            #"{"name":"A"}"#)
        let time = try #require(
            await desk.type("schedules", "show", "w", "--json", "--count", "1").json?["due_times"]?.arrayValue?.first)
        #expect(
            time["utc"]?.stringValue?.hasSuffix("T06:30:00Z") == true
                && time["local"]?.stringValue?.hasSuffix("T12:00:00+05:30") == true)
    }

    @Test func aScheduleIsChangedOnPurposeOnly() async throws {
        let desk = try await desk()
        _ = await create(desk)
        let other = ["schedules", "create", "nightly", "--workflow", "greet", "--input", #"{"name":"Bob"}"#, "--every", "90s"]
        let refused = await desk.type(other)
        #expect(refused.status == .conflict && refused.errors.contains("schedule_conflict"))
        #expect(await desk.type(other + ["--replace"], as: "bob").status == .success)
        let json = await desk.type("schedules", "show", "nightly", "--json").json
        #expect(
            json?["when"] == "every 90s" && json?["changed_by"] == "human bob (unauthenticated)"
                && json?["created_by"] == "human ada (unauthenticated)")
    }

    @Test(arguments: [
        (["--cron", "61 * * * *"], "cron_invalid"), (["--cron", "0 0 30 2 *"], "cron_invalid"),
        (["--cron", "@daily", "--zone", "CET"], "zone_unknown"), (["--every", "20000d"], "schedule_invalid"),
        (["--cron", "@daily", "--input", "5"], "input_undecodable"),
        (["--cron", "@daily", "--version", "9"], "workflow_unknown"),
    ])
    func whatCannotBeIsRefusedWithItsCode(options: [String], code: String) async throws {
        let desk = try await desk()
        let input = options.contains("--input") ? [] : ["--input", #"{"name":"A"}"#]
        let reply = await desk.type(["schedules", "create", "s", "--workflow", "greet"] + input + options)
        #expect(
            reply.status == (code == "workflow_unknown" ? .notFound : .usage) && reply.errors.contains("code: \(code)"),
            "\(reply)")
        #expect(await desk.type("schedules").output == "No schedules.\n")
    }

    @Test func wordsThatMakeNoSenseAreUsageErrors() async throws {
        let desk = try await desk()
        for words in [
            ["create", "s", "--workflow", "greet"], ["create", "s", "--workflow", "greet", "--cron", "@daily", "--every", "5m"],
            ["create", "s", "--workflow", "greet", "--every", "5m", "--zone", "UTC"],
            ["create", "s", "--workflow", "greet", "--every", "5m", "--overlap", "no"],
            ["pause", "s"], ["backfill", "s", "--from", "yesterday", "--to", "today"], ["list", "--limit", "0"],
            ["show", "s", "--count", "-1"],
        ] {
            #expect(await desk.type(["schedules"] + words).status == .usage, "\(words)")
        }
        for words in [["show"], ["pause", "--note", "x"], ["resume"], ["trigger"], ["remove"]] {
            #expect(await desk.type(["schedules", words[0], "nothing"] + words.dropFirst()).status == .notFound, "\(words)")
        }
        #expect(await desk.type("schedules", "show", "no name").status == .usage)
    }

    @Test func aScheduleIsPausedWithANoteAndResumed() async throws {
        let desk = try await desk()
        _ = await create(desk)
        #expect(
            await desk.type("schedules", "pause", "nightly", "--note", "the vault is down", as: "bob").output
                == "Schedule nightly is paused.\n")
        #expect(await desk.type("schedules").output.contains("paused: the vault is down"))
        let json = await desk.type("schedules", "show", "nightly", "--json").json
        #expect(
            json?["note"] == "the vault is down" && json?["paused_by"] == "human bob (unauthenticated)"
                && json?["next_due"] == nil as JSONValue?)
        #expect(
            await desk.type("schedules", "show", "nightly").output.contains("by human bob (unauthenticated): the vault is down"))
        #expect(await desk.type("schedules", "resume", "nightly", "--json").json?["accepted"] == "resume")
        #expect(await desk.type("schedules", "show", "nightly", "--json").json?["next_due"]?.stringValue != nil)
        #expect(await desk.type("schedules", "remove", "nightly").status == .success)
        #expect(await desk.type("schedules", "show", "nightly").status == .notFound)
    }

    @Test func aScheduleIsTriggeredBesideTheProcessThatHosts() async throws {
        let desk = try await desk()
        try await desk.hosting { _ in
            _ = await create(desk)
            let reply = await desk.type("schedules", "trigger", "nightly", "--json")
            let run = try #require(reply.json?["run"]?.stringValue, "\(reply)")
            try await desk.untilClosed(run)
            #expect(await desk.type("show", run).output.contains("by schedule nightly"))
            let json = await desk.type("schedules", "show", "nightly", "--json").json
            #expect(json?["last_run"]?.stringValue == run && json?["started"] == 1)
        }
    }

    @Test func aBackfillIsShownBeforeItIsDoneAndDoneOnce() async throws {
        let desk = try await desk()
        try await desk.hosting { engine in
            _ = await create(desk)
            let now = desk.clock.now(), from = (now - .days(3)).description, to = now.description
            let dry = await desk.type("schedules", "backfill", "nightly", "--from", from, "--to", to, "--dry-run", "--json")
            let times = dry.json?["due_times"]?.arrayValue ?? []
            #expect(
                times.count == 3 && dry.json?["dry_run"] == true && times.allSatisfy { $0["run"]?.stringValue == nil }, "\(dry)")
            #expect(try await engine.client.runs().isEmpty)
            let reply = await desk.type("schedules", "backfill", "nightly", "--from", from, "--to", to, "--overlapping")
            #expect(reply.output.hasSuffix("3 due times, 3 without a run: they are started.\n"), "\(reply)")
            let client = engine.client
            try await client.wait { _ in try await client.runs().count == 3 }
            let again = await desk.type("schedules", "backfill", "nightly", "--from", from, "--to", to)
            #expect(again.output.hasSuffix("3 due times, 0 without a run; nothing is started.\n"), "\(again)")
        }
    }
}
