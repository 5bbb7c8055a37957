import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdurePostgres
import PerdureStore
import ServiceLifecycle
import Testing

/// The commands on a database: the same as on a file, but for who hosts runs.
@Suite(.timeLimit(.minutes(5))) struct CommandTests {
    private static let input = #"{"name":"Ada"}"#

    @Test func `where nobody hosts workflows a start hosts its run, and every look at it works`() async throws {
        try await withDesk { desk in
            let started = await desk.type("start", "greet", "--input", Self.input, "--key", "k")
            #expect(started.status == .success && started.output.contains("this process hosts it until it closes"))
            #expect(started.output.contains(#"completed: "Hello, Ada, from the command""#))
            let run = try #require(await desk.type("list", "--json").json?.arrayValue?.first?["run"]?.stringValue)
            #expect(await desk.type("list").output.contains(run))
            #expect(await desk.type("show", run).output.contains("look-up"))
            #expect(await desk.type("explain", run).status == .success)
            #expect(await desk.type("approvals").output == "Nothing waits for a person.\n")
            #expect(await desk.type("verify", run).status == .success)
            #expect(await desk.type("verify", "--all").output.contains("1 runs verified, all sound"))
            #expect(await desk.type("check", "--closed").output.contains("1 runs checked, 1 fit."))
            let file = desk.folder.appending(path: "histories.jsonl").path
            let exported = await desk.type("export-history", "--with-salt", "--out", file)
            #expect(exported.output.hasPrefix("1 runs with "))
            #expect(await desk.type("check", "--histories", file).output.contains("1 runs checked, 1 fit."))
            let inventory = await desk.type("resumability", "--inventory", "--store", desk.url, "--json")
            let entries = inventory.json?["inventory"]?["entries"]?.arrayValue ?? []
            #expect(entries.first { $0["workflow"] == "greet" }?["runs"] == 1)
            #expect(await desk.type("versions").output.hasPrefix("No process hosts this store now."))
            #expect(await desk.type("nodes").output == "No process hosts this store now.\n")
            #expect(await desk.type("start", "greet", "--input", Self.input, "--key", "k", "--json").json?["new"] == false)
        }
    }

    @Test func `people decide about runs of a node, and move them`() async throws {
        try await withDesk { desk in
            try await desk.hosting(ShopApp.workflows) { _ in
                let charge = try #require(await desk.type("start", "charge", "--json").json?["run"]?.stringValue)
                try await desk.until(charge, is: "waiting")
                #expect(await desk.type("approvals").output.contains(charge))
                #expect(await desk.type("approve", charge, "--yes").status == .conflict)
                #expect(await desk.type("approve", charge, "--yes", as: "bob").status == .success)
                try await desk.until(charge, is: "completed")
                let limit = try #require(await desk.type("start", "limit", "--json").json?["run"]?.stringValue)
                #expect(await desk.type("update", limit, "set", "--payload", "4").output == "\"the limit is 4\"\n")
                #expect(await desk.type("pause", limit, "--reason", "a look").status == .success)
                try await desk.until(limit, is: "paused")
                #expect(await desk.type("resume", limit).status == .success)
                #expect(await desk.type("signal", limit, "stop", "--payload", "\"enough\"").status == .success)
                try await desk.until(limit, is: "completed")
                #expect(await desk.type("show", limit, "--events").output.contains("\"enough\""))
                let other = try #require(await desk.type("start", "limit", "--json").json?["run"]?.stringValue)
                #expect(await desk.type("cancel", other).status == .success)
                try await desk.until(other, is: "cancelled")
                let all = await desk.type("verify", "--all")
                #expect(all.status == .success && all.output.contains("3 runs verified, all sound"))
            }
        }
    }

    @Test func `a start hands its run to the nodes only if one of them hosts it`() async throws {
        try await withDesk { desk in
            let node: Workflows = [RegisteredWorkflow(Greet(place: "the node")), RegisteredWorkflow(Limit())]
            try await desk.hosting(node) { _ in
                let handed = await desk.type("start", "greet", "--input", Self.input, "--wait", "--json")
                #expect(handed.status == .success && handed.json?["output"] == "Hello, Ada, from the node")
                // Nobody hosts this one: it would wait for ever.
                let charge = Task { await desk.type("start", "charge") }
                let client = try await Client(.postgres(desk.url))
                try await client.wait { try await $0.runs(workflow: "charge").first?.state == "waiting" }
                await client.close()
                let nodes = try #require(await desk.type("nodes", "--json").json?["nodes"]?.arrayValue)
                #expect(nodes.count == 2)
                let run = try #require(await desk.type("list", "--workflow", "charge", "--json").json?.arrayValue?.first?["run"])
                #expect(await desk.type("approve", run.stringValue ?? "", "--yes", as: "bob").status == .success)
                let hosted = await charge.value
                #expect(hosted.status == .success && hosted.output.contains("this process hosts it until it closes"))
                #expect(hosted.output.contains("completed: \"charged\""))
            }
        }
    }

    @Test func `a run that a key finds at another node is waited for`() async throws {
        try await withDesk { desk in
            try await desk.hosting([RegisteredWorkflow(Limit())]) { engine in
                let first = try #require(await desk.type("start", "limit", "--key", "k", "--json").json?["run"]?.stringValue)
                try await desk.until(first, is: "waiting")
                let waiting = Task { await desk.type("start", "limit", "--key", "k", "--wait", "--json") }
                #expect(await desk.type("update", first, "set", "--payload", "4").status == .success)
                #expect(await desk.type("signal", first, "stop", "--payload", "\"enough\"").status == .success)
                let found = await waiting.value
                #expect(found.status == .success && found.json?["run"]?.stringValue == first)
                #expect(found.json?["new"] == false && found.json?["output"] == "enough")
            }
        }
    }

    @Test func `nodes says who hosts what, since when and how many runs each has`() async throws {
        try await withDesk { desk in
            try await desk.hosting([RegisteredWorkflow(Greet(place: "a node")), RegisteredWorkflow(Limit())]) { first in
                try await desk.hosting([RegisteredWorkflow(Charge())]) { second in
                    let reply = await desk.type("nodes")
                    #expect(reply.status == .success && reply.output.hasPrefix("2 nodes live.\nNODE "))
                    #expect(reply.output.contains("greet 1, limit 1\n") && reply.output.contains("charge 2.1\n"))
                    #expect(reply.output.contains("\(getpid()) on ") && !reply.output.contains("overdue"))
                    let nodes = try #require(await desk.type("nodes", "--json").json?["nodes"]?.arrayValue)
                    #expect(nodes.map { $0["node"]?.stringValue } == [first, second].map { $0.node.rawValue })
                    for node in nodes {
                        #expect(node["runs"] == 0 && node["overdue"] == false)
                        #expect(node["since"]?.stringValue != nil && node["renewed_at"]?.stringValue != nil)
                    }
                }
                #expect(await desk.type("nodes").output.hasPrefix("1 node lives.\n"))
            }
        }
    }

    @Test func `a node that is late with its lease is not counted on`() async throws {
        try await withDesk { desk in
            try await desk.hosting([RegisteredWorkflow(Limit())]) { _ in
                let run = try #require(await desk.type("start", "limit", "--json").json?["run"]?.stringValue)
                try await desk.until(run, is: "waiting")
                // As it looks a minute later, if nobody has renewed until then.
                func later(_ command: String) async -> Desk.Reply {
                    await desk.type(command, "--json") { environment in
                        var options = PostgresOptions()
                        options.clock = { Timestamp(Date()) + .seconds(60) }
                        environment.openStore = { [options] in .postgres($0, options: options) }
                    }
                }
                let nodes = await later("nodes")
                #expect(nodes.json?["nodes"]?.arrayValue?.map { $0["overdue"] } == [true])
                let versions = await later("versions")
                #expect(versions.status == .failed && versions.json?["versions"]?.arrayValue?.first?["stranded"] == true)
                #expect(await desk.type("versions").status == .success)
            }
        }
    }

    @Test func `a host is one node of several, and says which`() async throws {
        try await withDesk { desk in
            try await desk.hosting([RegisteredWorkflow(Limit())]) { _ in
                let reply = await desk.type("run") { $0.companions = [ReadyToStop()] }
                #expect(reply.status == .success)
                #expect(reply.output.contains("Hosting greet 1, charge 2.1, limit 1 on postgres://perdure@127.0.0.1:"))
                #expect(reply.output.contains("/\(desk.database.name) as node "))
                #expect(reply.output.contains("Stopped; open runs go on at the nodes that host their workflows"))
            }
        }
    }

    @Test func `a database that holds no store is said to hold none`() async throws {
        try await withDesk { desk in
            for command in ["list", "nodes", "versions", "check"] {
                let reply = await desk.type(command)
                #expect(reply.status == .store && reply.errors.contains("store_missing"), "\(command)")
                #expect(reply.errors.contains("holds no store yet. Start an engine with it first."))
            }
        }
    }

    @Test func `no password is printed, whatever is wrong`() async throws {
        try await withDesk { desk in
            let secret = "s3cr3t-w0rd"
            func url(_ change: (inout URLComponents) -> Void = { _ in }) throws -> String {
                var parts = try PostgresServer.parts
                parts.path = "/" + desk.database.name
                parts.password = secret
                change(&parts)
                return try #require(parts.string)
            }
            let wrong = try url()
            let cases: [(words: [String], code: String)] = [
                (["list", "--store", wrong], "store_refused"), (["run", "--store", wrong], "store_refused"),
                (["start", "greet", "--input", Self.input, "--store", wrong], "store_refused"),
                (["nodes", "--store", try url { $0.port = 1 }], "store_unavailable"),
                (["nodes", "--store", try url { $0.query = "sslmoode=require" }], "code: usage"),
                (["list", "--store", wrong.replacing("postgres://", with: "postgres:/")], "code: usage"),
                (["list", "--store", wrong.replacing("postgres://", with: "mysql://")], "another scheme than postgres://"),
                (["list", wrong], "nexpected argument"), (["show", wrong], "is not a run's id"), ([wrong], "nexpected argument"),
                (["start", wrong], "workflow_unknown"), (["check", wrong], "is not a run's id"),
                (["list", "--stor=\(wrong)"], "nknown option"),
            ]
            for (words, code) in cases {
                let reply = await desk.type(words)
                #expect(reply.status != .success && reply.errors.contains(code), "\(words[0]): \(reply.all)")
                #expect(!reply.all.contains(secret), "\(words[0])")
            }
            for words in [["start", "greet", "--input", Self.input], ["list"], ["versions"], ["nodes"], ["verify", "--all"]] {
                let reply = await desk.type(words)
                #expect(reply.status == .success && !reply.all.contains("perdure-test"), "\(words[0])")
            }
        }
    }
}

/// A companion whose end shuts the host down.
private struct ReadyToStop: Service {
    func run() async throws {}
}
