import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What tenants may take, as operators say it, and commands that are confined to one.
@Suite(.timeLimit(.minutes(5))) struct NamespaceCommandTests {
    // Promise: 46
    @Test func quotasAreSetShownWithWhatIsTakenAndTakenAway() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            let set = await desk.type(
                "namespaces", "set", "default", "--open-runs", "3", "--payload", "1500KB", "--starts", "50/s", "--burst", "100",
                as: "bob")
            #expect(
                set.output
                    == "Namespace default: it may have 3 open runs, 1.5 MB of inputs and outputs, starts of 50 in 1s, up to 100 together.\n"
            )
            let listed = await desk.type("namespaces", "list", "--json").json?.arrayValue?.first
            // Retention is left as each engine is configured.
            #expect(listed?["set"] == false)
            let quotas = listed?["quotas"]
            #expect(quotas?["max_open_runs"] == 3 && quotas?["open_runs"] == 1 && quotas?["max_payload_bytes"] == 1_500_000)
            #expect(quotas?["starts"] == ["count": 50, "period_seconds": 1, "burst": 100] && quotas?["changed_by"] == "bob")
            let size = try await engine.client.history(of: try #require(RunID(run))).valueSize
            #expect(quotas?["payload_bytes"] == .integer(size))
            let table = await desk.type("namespaces").output
            #expect(table.contains("1 of 3 open, \(size) B of 1.5 MB, 50 in 1s, up to 100 together"), "\(table)")
            _ = await desk.type("namespaces", "set", "default", "--open-runs", "1", "--payload", "none", "--starts", "none")
            let refused = await desk.type("start", "wait")
            #expect(refused.status == .conflict && refused.errors.contains("quota_exceeded"), "\(refused)")
            let unset = await desk.type("namespaces", "set", "default", "--open-runs", "none", "--json")
            #expect(unset.json == ["namespace": "default", "set": false])
        }
    }

    @Test(arguments: [
        ["--open-runs", "-1"], ["--open-runs", "many"], ["--payload", "10XB"], ["--payload", "-1"], ["--starts", "often"],
        ["--burst", "3"], ["--starts", "none", "--burst", "3"], ["--starts", "5/s", "--burst", "0"],
        ["--payload", "99999999999999TB"],
    ])
    func quotasThatMakeNoSenseAreRefused(_ options: [String]) async throws {
        let desk = try Desk()
        let reply = await desk.type(["namespaces", "set", "shop"] + options)
        #expect(reply.status == .usage, "\(reply)")
    }

    // Promise: 46
    @Test func aConfinedCommandSeesItsNamespaceAndNothingElse() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            let nobody = "0193a5b0-0000-7000-8000-000000000001"
            for words in [
                ["show", run], ["explain", run], ["verify", run], ["cancel", run], ["terminate", run, "--reason", "x"],
                ["pause", run],
                ["resume", run],
                ["signal", run, "poke"], ["retry", run], ["fork", run, "--at", "1"], ["reset", run, "--to", "1"],
                ["repin", run, "--to", "2"], ["check", run], ["export-history", run, "--out", "-"],
            ] {
                let reply = await desk.type(words + ["--namespace", "shop"])
                #expect(reply.status == .notFound, "\(words): \(reply)")
                let unknown = await desk.type(words.map { $0 == run ? nobody : $0 } + ["--namespace", "shop"])
                #expect(reply.errors.replacing(run, with: nobody) == unknown.errors, "\(words)")
            }
            #expect(await desk.type("list", "--json", "--namespace", "shop").json == [])
            #expect(await desk.type("list", "--json", "--namespace", "default").json?.arrayValue?.count == 1)
            let byVariable = await desk.type("list", "--json") { $0.variables["PERDURE_NAMESPACE"] = "shop" }
            #expect(byVariable.json == [])
            #expect(await desk.type("approvals", "--json", "--namespace", "shop").json == [])
            #expect(await desk.type("verify", "--all", "--namespace", "shop", "--json").json?["runs"] == [])
            #expect(await desk.type("namespaces", "set", "shop", "--open-runs", "1", "--namespace", "shop").status == .usage)
            #expect(await desk.type("list", "--namespace", "a/b").status == .usage)
            let record = try await engine.client.run(try #require(RunID(run)))
            #expect(record.state == "waiting")
        }
    }

    @Test func whatIsStartedWithANamespaceBelongsToIt() async throws {
        let desk = try Desk()
        let started = await desk.type("start", "greet", "--input", #"{"name":"Ada"}"#, "--namespace", "shop", "--json")
        #expect(started.status == .success, "\(started)")
        let run = try #require(started.json?["run"]?.stringValue)
        #expect(await desk.type("list", "--json", "--namespace", "shop").json?.arrayValue?.first?["run"]?.stringValue == run)
        #expect(await desk.type("list", "--json", "--namespace", "default").json == [])
    }
}
