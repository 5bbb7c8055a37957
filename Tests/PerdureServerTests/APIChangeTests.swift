import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import Testing

@testable import PerdureServer

/// Schedules, queues and forks over HTTP.
@Suite(.timeLimit(.minutes(5))) struct APIChangeTests {
    @Test func `a schedule is made once, changed, paused, resumed, filled and removed`() async throws {
        try await atDesk { desk in
            let order: JSONObject = [
                "id": "nightly", "cron": "30 2 * * *", "zone": "Europe/Berlin", "workflow": "wait", "input": "x",
                "labels": ["team": "ops"], "overlap": "queue", "catch_up_seconds": 3_600,
            ]
            let made = try await desk.ask("createSchedule", order)
            #expect(made.status == 201 && made.json["id"] == "nightly" && made.json["zone"] == "Europe/Berlin")
            #expect(try await desk.ask("createSchedule", order).status == 200)
            var other = order
            other["overlap"] = "skip"
            let conflict = try await desk.ask("createSchedule", other)
            #expect(conflict.status == 409 && conflict.code == "schedule_conflict")
            other["id"] = nil
            other["schedule"] = "nightly"
            let changed = try await desk.ask("changeSchedule", other)
            #expect(changed.status == 200 && changed.json["overlap"] == "skip" && changed.json["catch_up_seconds"] == 3_600)
            let paused = try await desk.ask("pauseSchedule", ["schedule": "nightly", "note": "holidays"], as: "ada")
            #expect(paused.json["note"] == "holidays" && paused.json["paused_by"]?.stringValue?.contains("ada") == true)
            let resumed = try await desk.ask("resumeSchedule", ["schedule": "nightly"])
            #expect(resumed.status == 200 && resumed.json["paused_at"] == nil)
            let filled = try await desk.ask(
                "backfillSchedule",
                ["schedule": "nightly", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T12:00:00+01:00", "overlapping": true])
            #expect(filled.status == 200)
            try await desk.client.wait { try await $0.runs(workflow: "wait").count == 2 }
            #expect(try await desk.ask("removeSchedule", ["schedule": "nightly"]).json == ["removed": true])
            let gone = try await desk.ask("pauseSchedule", ["schedule": "nightly"])
            #expect(gone.status == 404 && gone.code == "schedule_unknown")
        }
    }

    @Test func `a schedule that cannot be is refused with what is wrong`() async throws {
        try await atDesk { desk in
            let base: JSONObject = ["id": "s", "workflow": "wait"]
            for (more, code) in [
                ([:], "body_invalid"), (["cron": "* * * * *", "every_seconds": 60], "body_invalid"),
                (["every_seconds": 60, "zone": "UTC"], "body_invalid"), (["cron": "61 * * * *"], "cron_invalid"),
                (["cron": "* * * * *", "zone": "Mars/Olympus"], "zone_unknown"), (["every_seconds": 0], "body_invalid"),
                (["every_seconds": 60, "queue": ["name": "nowhere"]], "queue_unknown"),
            ] as [(JSONObject, String)] {
                var order = base
                for member in more.members { order[member.key] = member.value }
                let reply = try await desk.ask("createSchedule", order)
                #expect(reply.code == code, "\(JSONValue.object(more).canonicalText): \(reply.json.canonicalText)")
            }
            #expect(try await desk.ask("listSchedules").json == ["schedules": []])
        }
    }

    @Test func `a queue gets its limits, and runs wait in it`() async throws {
        try await atDesk { desk in
            let made = try await desk.ask(
                "setQueue",
                ["queue": "mail", "concurrency": 0, "per_key": 2, "rate": ["count": 10, "period_seconds": 60, "burst": 5]])
            #expect(made.status == 200 && made.json["closed"] == true && made.json["rate"]?["burst"] == 5)
            let run = try await desk.start("greet", "Ada", ["queue": ["name": "mail"]])
            #expect(try await desk.ask("setQueue", ["queue": "mail", "concurrency": 1]).json["per_key"] == nil)
            let result = try await desk.ask("getResult", ["run": .string(run), "wait_seconds": 60])
            #expect(result.json["state"] == "completed")
        }
    }

    @Test func `a fork goes on from an event, once for each request`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("wait", "x")
            try await desk.until(run, is: "waiting")
            let order: JSONObject = ["run": .string(run), "event": 1, "reason": "look"]
            let made = try await desk.ask("forkRun", order, key: "f"), again = try await desk.ask("forkRun", order, key: "f")
            let fork = try #require(made.json["run"]?.stringValue)
            #expect(made.status == 201 && again.json == made.json && fork != run)
            let other = try await desk.ask("forkRun", order, key: "g")
            #expect(other.status == 201 && other.json["run"] != made.json["run"])
            let refused = try await desk.ask("forkRun", ["run": .string(run), "event": 1_000])
            #expect(refused.status == 409 && refused.code == "fork_refused")
        }
    }
}
