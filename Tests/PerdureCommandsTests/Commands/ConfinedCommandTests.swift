import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Every command that can be confined to a namespace, on a store where another one has everything.
@Suite(.timeLimit(.minutes(5))) struct ConfinedCommandTests {
    /// Commands with what makes them do something to, or tell something of, what the other namespace has. RUN stands for its run.
    private static let table: [String: [String]] = [
        "list": [], "show": ["RUN"], "explain": ["RUN"], "approvals": [], "approve": ["RUN", "--yes"],
        "deny": ["RUN", "--yes", "--reason", "x"], "answer": ["RUN", "q", "--value", "1"], "signal": ["RUN", "poke"],
        "update": ["RUN", "prod"], "cancel": ["RUN"], "terminate": ["RUN", "--reason", "x"], "pause": ["RUN"], "resume": ["RUN"],
        "settle": ["RUN"],
        "repin": ["RUN", "--to", "2"], "reset": ["RUN", "--to", "1"], "fork": ["RUN", "--at", "1"], "retry": ["RUN"],
        "resolve": ["RUN", "prepare", "--happened"], "schedules list": [], "schedules show": ["s"],
        "schedules create": ["s", "--workflow", "greet", "--every", "1m", "--input", #"{"name":"x"}"#, "--replace"],
        "schedules pause": ["s", "--note", "x"], "schedules resume": ["s"], "schedules trigger": ["s"],
        "schedules backfill": ["s", "--from", "2020-03-01T00:00:00Z", "--to", "2020-03-01T00:10:00Z"], "schedules remove": ["s"],
        "queues list": [], "queues set": ["q", "--concurrency", "9"], "namespaces list": [],
        "namespaces set": ["default", "--open-runs", "1"], "namespaces unset": ["default"], "verify": ["--all"], "versions": [],
        "attempts": [],
        "nodes": [], "recover": ["--restored", "--yes"], "check": [], "export-history": ["--out", "-"],
        "resumability": ["--inventory", "--store", "STORE"],
    ]
    /// They host the runs of all namespaces, and what they start is the named one's.
    private static let hosts: Set<String> = ["run", "start"]

    /// The commands with this option, as the program itself tells them.
    private func commands(with option: String, in command: [String: Any], _ path: [String] = []) -> Set<String> {
        let arguments = command["arguments"] as? [[String: Any]] ?? []
        let names = arguments.flatMap { $0["names"] as? [[String: Any]] ?? [] }.compactMap { $0["name"] as? String }
        let below = command["subcommands"] as? [[String: Any]] ?? []
        var found: Set<String> = []
        for inner in below {
            guard let name = inner["commandName"] as? String, name != "help" else { continue }
            found.formUnion(commands(with: option, in: inner, path + [name]))
        }
        // One that has others below it only stands for them.
        return below.isEmpty && names.contains(option) ? found.union([path.joined(separator: " ")]) : found
    }

    // Promise: 46
    @Test func `every command that takes a store takes a namespace, and is in the table`() async throws {
        let dump = try await Desk().type("--experimental-dump-help")
        let root = try #require(try JSONSerialization.jsonObject(with: Data(dump.output.utf8)) as? [String: Any])
        let command = try #require(root["command"] as? [String: Any])
        let confinable = commands(with: "namespace", in: command)
        #expect(confinable == commands(with: "store", in: command))
        #expect(confinable == Set(Self.table.keys).union(Self.hosts))
    }

    /// What the namespace has, as far as a command could change it.
    private func everything(_ desk: Desk) async throws -> [String] {
        let client = try await Client(desk.store), store = client.store
        var found: [String] = []
        for record in try await store.runs(RunFilter(namespace: "default")) {
            found.append("\(record)")
            found += try await store.events(of: record.number, after: 0, limit: 1_000).map { "\($0.seq) \($0.hash)" }
            found += try await store.inbox(run: record.number).map { "\($0.number)" }
        }
        found += try await store.schedules(.listed(namespace: "default", after: nil, limit: 10)).map { "\($0)" }
        found += try await store.queues(namespace: "default").map { "\($0)" }
        found += try await store.namespaces().map { "\($0)" } + store.quotas().map { "\($0)" }
        found.append("\(String(describing: try await store.restoration()))")
        await client.close()
        return found
    }

    // Promise: 46
    @Test func `no command that is confined to a namespace tells or changes anything of another one`() async throws {
        let desk = try Desk()
        var run = ""
        try await desk.hosting { engine in
            run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), by: Principal(.human, "ada"))
            try await engine.client.changeQuotas(of: "default", by: Principal(.human, "ada")) { $0.openRuns = 100 }
            let every = ["schedules", "create", "s", "--workflow", "greet", "--every", "1d", "--input", #"{"name":"a"}"#]
            #expect(await desk.type(every).status == .success)
        }
        let before = try await everything(desk)
        for (command, words) in Self.table.sorted(by: { $0.key < $1.key }) {
            let words = words.map { $0 == "RUN" ? run : $0 == "STORE" ? desk.path : $0 }
            let typed = command.split(separator: " ").map { String($0) } + words
            let replies = [
                await desk.type(typed + ["--namespace", "shop"]),
                await desk.type(typed) { $0.variables["PERDURE_NAMESPACE"] = "shop" },
            ]
            for reply in replies {
                #expect(!reply.errors.contains("Usage:"), "\(command): \(reply)")
                #expect(!reply.output.contains(run), "\(command): \(reply)")
                #expect(try await everything(desk) == before, "\(command) has changed something: \(reply)")
            }
        }
    }

    // Promise: 46
    @Test func `whoever is confined neither recovers the store nor learns how many runs that would be`() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
        }
        for words in [["--yes"], ["--dry-run"], ["--yes", "--json"]] {
            let named = await desk.type(["recover", "--restored"] + words + ["--namespace", "default"])
            let byVariable = await desk.type(["recover", "--restored"] + words) { $0.variables["PERDURE_NAMESPACE"] = "shop" }
            for reply in [named, byVariable] {
                #expect(reply.status == .usage && reply.output.isEmpty && reply.errors.contains("cannot recover the store"))
            }
        }
        #expect(await desk.type("nodes", "--json").json?["held"] == false)
        #expect(await desk.type("recover", "--restored", "--dry-run").output.hasPrefix("1 open run of "))
    }
}
