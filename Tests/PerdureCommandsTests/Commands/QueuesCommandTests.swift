import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import Testing

/// `queues`, and runs that are started into them.
@Suite(.timeLimit(.minutes(5))) struct QueuesCommandTests {
    /// A desk at a store in memory, or at a file.
    private struct QueueDesk {
        let desk: Desk
        let store: StoreConfiguration

        init(onDisk: Bool = false) async throws {
            let desk = try Desk()
            self.desk = desk
            store = onDisk ? desk.store : .memory(MemoryDatabase { desk.clock.now() })
            if onDisk { try await desk.hosting { _ in } }
        }

        func type(_ arguments: String..., as user: String = "ada") async -> Desk.Reply { await type(arguments, as: user) }

        func type(_ arguments: [String], as user: String = "ada") async -> Desk.Reply {
            await desk.type(arguments, as: user) { environment in environment.openStore = { [store] _ in store } }
        }

        func client() async throws -> Client { try await Client(store) }
    }

    @Test(arguments: [false, true]) func aQueueIsMadeChangedAndListed(onDisk: Bool) async throws {
        let desk = try await QueueDesk(onDisk: onDisk)
        #expect(await desk.type("queues").output == "No queues.\n")
        let made = await desk.type(
            "queues", "set", "mails", "--concurrency", "20", "--per-key", "2", "--rate", "100/15m", "--burst", "5")
        #expect(made.output == "Queue mails admits 20 at once, 2 of a key, 100 in 15m, up to 5 together.\n", "\(made)")
        let again = await desk.type("queues", "set", "mails", "--concurrency", "0", "--json", as: "bob").json
        #expect(again?["concurrency"] == 0 && again?["per_key"] == nil && again?["rate"] == nil && again?["closed"] == true)
        #expect(again?["changed_by"] == "human bob (unauthenticated)")
        _ = await desk.type("queues", "set", "imports", "--concurrency", "3", "--rate", "2/s", "--namespace", "other")
        let listed = await desk.type("queues", "list", "--json").json?.arrayValue ?? []
        #expect(listed.map { $0["queue"]?.stringValue } == ["mails", "imports"])
        #expect(listed.last?["rate"] == ["count": 2, "period_seconds": 1, "burst": 1])
        #expect(await desk.type("queues", "--namespace", "other", "--json").json?.arrayValue?.count == 1)
        let table = await desk.type("queues").output
        #expect(table.hasPrefix("QUEUE          ADMITS") && table.contains("\nmails          nobody"), "\(table)")
        #expect(table.contains("\nother/imports  3 at once, 2 in 1s"))
    }

    @Test(arguments: [
        ["--concurrency", "-1"], ["--concurrency", "3", "--per-key", "0"], ["--concurrency", "3", "--per-key", "4"], [],
        ["--concurrency", "3", "--burst", "2"], ["--concurrency", "3", "--rate", "often"],
        ["--concurrency", "3", "--rate", "5/s", "--burst", "0"],
    ])
    func limitsThatMakeNoSenseAreRefused(_ options: [String]) async throws {
        let desk = try await QueueDesk()
        let reply = await desk.type(["queues", "set", "q"] + options)
        #expect(reply.status == .usage, "\(reply)")
        #expect(await desk.type("queues").output == "No queues.\n")
    }

    @Test(arguments: [false, true]) func aRunIsStartedIntoAQueueAndShownThere(onDisk: Bool) async throws {
        let desk = try await QueueDesk(onDisk: onDisk)
        let unknown = await desk.type("start", "greet", "--input", #"{"name":"Ada"}"#, "--queue", "q")
        #expect(unknown.status == .notFound && unknown.errors.contains("queue_unknown"), "\(unknown)")
        #expect(await desk.type("start", "greet", "--queue-key", "a").status == .usage)
        #expect(await desk.type("start", "greet", "--queue", "q", "--priority", "10").status == .usage)
        _ = await desk.type("queues", "set", "q", "--concurrency", "1")
        let started = await desk.type(
            "start", "greet", "--input", #"{"name":"Ada"}"#, "--queue", "q", "--queue-key", "acme", "--priority", "7", "--json")
        #expect(started.status == .success && started.json?["state"] == "completed", "\(started)")
        let client = try await desk.client()
        let run = try #require(started.json?["run"]?.stringValue.flatMap(RunID.init))
        let first = try #require(try await client.history(of: run).first).attributes.object()
        #expect(first["queue"] == ["name": "q", "key": "acme", "priority": 7])
    }

    @Test(arguments: [false, true]) func whoWaitsIsListedAndExplained(onDisk: Bool) async throws {
        let desk = try await QueueDesk(onDisk: onDisk)
        _ = await desk.type("queues", "set", "q", "--concurrency", "0")
        let engine = try await Engine(store: desk.store) { TestApp.workflows }
        let run = try await engine.start(
            workflow: "greet", json: Data(#"{"name":"Ada"}"#.utf8), queue: QueuePlace("q"), by: Principal(.human, "ada"))
        await engine.close()
        let listed = await desk.type("list", "--state", "queued", "--json").json?.arrayValue
        #expect(listed?.count == 1 && listed?.first?["state"] == "queued")
        let explained = await desk.type("explain", "\(run)").output
        #expect(explained.contains("It waits in queue 'q' with priority 5, the first of its key."), "\(explained)")
        #expect(explained.contains("queues set q --concurrency N"))
        let queue = await desk.type("queues", "--json").json?.arrayValue?.first
        #expect(queue?["waiting"] == 1 && queue?["waiting_keys"] == 1 && queue?["held"] == 0)
    }

    @Test func aScheduleStartsIntoAQueue() async throws {
        let desk = try await QueueDesk()
        let make = [
            "schedules", "create", "s", "--workflow", "greet", "--every", "1h", "--input", #"{"name":"A"}"#, "--queue", "q",
        ]
        #expect(await desk.type(make).errors.contains("queue_unknown"))
        _ = await desk.type("queues", "set", "q", "--concurrency", "1")
        #expect(await desk.type(make).status == .success)
        #expect(await desk.type("schedules", "show", "s", "--json").json?["queue"] == ["name": "q", "key": "", "priority": 5])
        #expect(await desk.type("schedules", "show", "s").output.contains("Its runs wait in queue 'q'.\n"))
    }
}
