import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureHistory
import Testing

/// Two real programs over one file, one deployed in the place of the other while runs are in flight.
@Suite(.serialized, .timeLimit(.minutes(5))) struct DeployTests {
    // Promise: 25
    @Test func runsEndOnTheVersionTheyStartedOnWhileNewOnesTakeTheNewest() async throws {
        try await Deployment.run { deployment in
            var host = try await deployment.host(.before)
            let old = try await deployment.start(.before, "ship", "a chair")
            try await deployment.until(old, is: "waiting")
            #expect(await host.end() == 0)
            host = try await deployment.host(.after)
            let young = try await deployment.start(.after, "ship", "a table")
            try await deployment.until(young, is: "waiting")
            let ships = try await deployment.type(.after, "versions", "--json")["versions"].filter {
                $0["workflow"] as? String == "ship"
            }
            #expect(ships.map { $0["open"] as? Int } == [1, 1] && ships.map { $0["takes_new_runs"] as? Bool } == [false, true])
            #expect(ships.map { $0["drained"] as? Bool } == [false, false])
            for run in [old, young] {
                try await deployment.go(run)
                try await deployment.until(run, is: "completed")
            }
            #expect(try await deployment.output(old) == "a chair by road")
            #expect(try await deployment.output(young) == "a table by rail")
            let drained = try await deployment.type(.after, "versions", "--drained")
            #expect(drained.status == 0 && drained.output.contains("ship") && drained.output.contains("drained: may be removed"))
            #expect(await host.end() == 0)
        }
    }

    // Promise: 25
    @Test func runsWhoseVersionIsGoneAreReportedAndGoOnWhenItIsBack() async throws {
        try await Deployment.run { deployment in
            var host = try await deployment.host(.before)
            let run = try await deployment.start(.before, "audit", "2025")
            try await deployment.until(run, is: "waiting")
            #expect(await host.end() == 0)
            let checked = try await deployment.type(.after, "check", "--json")
            #expect(checked.status == 1 && checked["runs"].first?["verdict"] as? String == "no_code")
            host = try await deployment.host(.after)
            try await deployment.go(run)
            let versions = try await deployment.type(.after, "versions", "--stranded", "--json")
            #expect(versions.status == 1 && versions["versions"].map { $0["workflow"] as? String } == ["audit"])
            let explained = try await deployment.type(.after, "explain", run.description)
            #expect(explained.output.contains("It is stranded"))
            #expect(try await deployment.client.run(run).state == "waiting")
            #expect(await host.end() == 0)
            host = try await deployment.host(.before)
            try await deployment.until(run, is: "completed")
            #expect(try await deployment.output(run) == "2025 is audited")
            #expect(await host.end() == 0)
        }
    }

    // Promise: 25
    @Test func aRunThatDoesNotFitIsForetoldThenBlockedAndHealsByDeployingTheRightCode() async throws {
        try await Deployment.run { deployment in
            var host = try await deployment.host(.before)
            let run = try await deployment.start(.before, "renew", "c-7")
            try await deployment.until(run, is: "waiting")
            let recorded = try await deployment.lines(run)
            let checked = try await deployment.type(.after, "check", "--json")
            let finding = try #require(checked["runs"].first)
            let message = try #require(finding["message"] as? String)
            #expect(checked.status == 1 && finding["verdict"] as? String == "blocks")
            #expect(message.contains("'charge'") && message.contains("'invoice'"))
            #expect(try await deployment.type(.before, "check").status == 0)
            #expect(try await deployment.lines(run) == recorded)
            #expect(await host.end() == 0)
            host = try await deployment.host(.after)
            try await deployment.go(run)
            try await deployment.until(run, is: "blocked")
            #expect(try await deployment.client.run(run).note == message)
            #expect(await host.end() == 0)
            host = try await deployment.host(.before)
            try await deployment.until(run, is: "completed")
            #expect(deployment.requests("charge").count == 1)
            #expect(await host.end() == 0)
        }
    }

    // Promise: 13
    @Test func anIntentIsWrittenBeforeAnotherBuildSendsAgain() async throws {
        try await Deployment.run { deployment in
            try deployment.hold("settle")
            var host = try await deployment.host(.before)
            let run = try await deployment.start(.before, "settle", "a-1")
            try await host.until("held settle")
            await host.die()
            try deployment.answer("settle")
            host = try await deployment.host(.after)
            try await deployment.until(run, is: "completed")
            #expect(
                try await deployment.lines(run) == [
                    "run.started", "run.resumed", "step.intended settle", "step.succeeded settle", "run.completed",
                ])
            let builds = try await deployment.builds(run)
            #expect(builds.count == 2 && Set(builds).count == 2)
            let keys = deployment.requests("settle")
            #expect(keys.count == 2 && Set(keys).count == 1)
            #expect(await host.end() == 0)
        }
    }

    // Promise: 13, 25
    @Test func drainingLeavesNoStepWithoutATrace() async throws {
        try await Deployment.run { deployment in
            try deployment.hold("post")
            var host = try await deployment.host(.before)
            let run = try await deployment.start(.before, "notice", "closed on Monday")
            try await host.until("held post")
            #expect(await host.end() == 0)
            #expect(try await deployment.lines(run) == ["run.started", "step.intended post"])
            try deployment.answer("post")
            let checked = try await deployment.type(.after, "check", "--json")
            #expect(checked.status == 1 && (checked["runs"].first?["message"] as? String)?.contains("'post'") == true)
            host = try await deployment.host(.after)
            try await deployment.until(run, is: "blocked")
            #expect(await host.end() == 0)
            host = try await deployment.host(.before)
            try await deployment.go(run)
            try await deployment.until(run, is: "completed")
            let keys = deployment.requests("post")
            #expect(keys.count == 2 && Set(keys).count == 1)
            #expect(await host.end() == 0)
        }
    }

    @Test func aStepThatWasUnderWayAtAKillAndIsRemovedShowsInTheCheck() async throws {
        try await Deployment.run { deployment in
            try deployment.hold("post")
            var host = try await deployment.host(.before)
            let run = try await deployment.start(.before, "notice", "closed on Monday")
            try await host.until("held post")
            await host.die()
            // The build that died still has the step, and settles it.
            let own = try await deployment.type(.before, "check", "--json")
            #expect(own.status == 0 && own["runs"].isEmpty)
            var checked = try await deployment.type(.after, "check", "--json")
            var end = try #require((checked["runs"].first?["unclean_ends"] as? [[String: Any]])?.first)
            #expect(checked.status == 1 && end["seq"] == nil && (end["asked"] as? [String])?.isEmpty == true)
            host = try await deployment.host(.after)
            try await deployment.go(run)
            try await deployment.until(run, is: "completed")
            checked = try await deployment.type(.after, "check", run.description, "--json")
            end = try #require((checked["runs"].first?["unclean_ends"] as? [[String: Any]])?.first)
            #expect(checked.status == 0 && end["seq"] as? Int == 2 && end["build"] as? String != end["heir"] as? String)
            #expect(deployment.requests("post").count == 1)
            #expect(await host.end() == 0)
        }
    }

    // Promise: 25
    @Test func aPatchedChangeIsForRunsThatCameAfterIt() async throws {
        try await Deployment.run { deployment in
            var host = try await deployment.host(.before)
            let old = try await deployment.start(.before, "bill", "ann")
            try await deployment.until(old, is: "waiting")
            #expect(await host.end() == 0)
            #expect(try await deployment.type(.after, "check").status == 0)
            host = try await deployment.host(.after)
            let young = try await deployment.start(.after, "bill", "ben")
            for run in [old, young] {
                try await deployment.go(run)
                try await deployment.until(run, is: "completed")
            }
            #expect(try await deployment.output(old) == "ann owes 100")
            #expect(try await deployment.output(young) == "ben owes 119")
            #expect(await host.end() == 0)
        }
    }
}
