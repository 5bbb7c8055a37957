import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct LookingCommandTests {
    private let unknown = "0193a5b0-0000-7000-8000-00000000dead"

    @Test func runsAreListedNewestFirstAndFiltered() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let first = await desk.type("start", "greet", "--input", #"{"name":"A"}"#, "--key", "order 7", "--wait", "--json")
            let waiting = try await desk.start(engine, "wait")
            try await desk.until(waiting) { record, _ in record.state == .waiting }
            let all = await desk.type("list", "--json").json?.arrayValue
            #expect(all?.map { $0["run"] } == [.string(waiting), first.json?["run"]])
            #expect(all?.last?["key"] == "order 7" && all?.last?["closed_at"] != nil)
            #expect(await desk.type("list", "--state", "waiting", "--json").json?.arrayValue?.count == 1)
            #expect(await desk.type("list", "--workflow", "greet", "--json").json?.arrayValue?.count == 1)
            #expect(await desk.type("list", "--limit", "1", "--json").json?.arrayValue?.count == 1)
            #expect(await desk.type("list", "--workflow", "nothing").output == "No runs.\n")
            let table = await desk.type("list").output
            #expect(table.contains("RUN") && table.contains("greet 1") && table.contains("order 7") && !table.contains("\u{1B}"))
        }
    }

    @Test func openRunsAndThoseOfAVersionAreListedAndWhatIsCutIsSaid() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            _ = await desk.type("start", "greet", "--input", #"{"name":"A"}"#, "--wait")
            var waiting: [String] = []
            for _ in 0..<2 { waiting.append(try await desk.start(engine, "wait")) }
            func listed(_ arguments: String...) async -> [String?]? {
                await desk.type(["list", "--json"] + arguments).json?.arrayValue?.map { $0["run"]?.stringValue }
            }
            #expect(await listed("--open") == waiting.reversed())
            #expect(await listed("--open", "--workflow", "greet") == [])
            #expect(await listed("--workflow", "wait", "--version", "1") == waiting.reversed())
            #expect(await listed("--workflow", "wait", "--version", "2") == [])
            #expect(await desk.type("list", "--open", "--limit", "1").output.contains("The newest 1; there are more"))
            #expect(await desk.type("list", "--open", "--limit", "2").output.contains("there are more") == false)
            let cut = await desk.type("list", "--limit", "1", "--json")
            #expect(cut.json?.arrayValue?.count == 1 && cut.errors.contains("there are more"))
        }
    }

    @Test func aRunThatWasContinuedIsShownAsThatAndListedByThat() async throws {
        let desk = try Desk()
        let last = try #require(await desk.type("start", "relay", "--json").json?["run"]?.stringValue)
        await desk.type("start", "greet", "--input", #"{"name":"A"}"#)
        let continued = await desk.type("list", "--state", "continued", "--json").json?.arrayValue
        #expect(continued?.count == 1 && continued?.first?["continued_as"]?.stringValue == last)
        let first = try #require(continued?.first?["run"]?.stringValue)
        #expect(await desk.type("explain", first, "--json").json?["state"] == "continued")
        #expect(await desk.type("list", "--state", "completed", "--json").json?.arrayValue?.count == 3)
        let cut = await desk.type("list", "--state", "continued", "--limit", "1")
        #expect(cut.output.contains(first) && !cut.output.contains("there are more"))
    }

    @Test func runsAreFoundByTheirLabels() async throws {
        let desk = try Desk()
        var runs: [String?] = []
        for (customer, region) in [("7", "eu"), ("7", "us"), ("8", "eu")] {
            let reply = await desk.type(
                "start", "greet", "--input", #"{"name":"A"}"#, "--label", "customer=\(customer)", "--label", "region=\(region)",
                "--json")
            runs.append(reply.json?["run"]?.stringValue)
        }
        func listed(_ labels: String...) async -> [String?]? {
            await desk.type(["list", "--json"] + labels.flatMap { ["--label", $0] }).json?.arrayValue?.map {
                $0["run"]?.stringValue
            }
        }
        #expect(await listed("customer=7") == [runs[1], runs[0]])
        #expect(await listed("customer=7", "region=eu") == [runs[0]])
        #expect(await listed("customer=9") == [])
        #expect(await desk.type("list", "--label", "customer").status == .usage)
    }

    @Test func badFiltersAreUsageErrors() async throws {
        let desk = try Desk()
        let state = await desk.type("list", "--state", "sleeping")
        #expect(state.status == .usage && state.errors.contains("'sleeping' is no state"))
        #expect(await desk.type("list", "--limit", "0").status == .usage)
        #expect(await desk.type("list", "--open", "--state", "ready").status == .usage)
    }

    @Test func anUnknownRunIsNotFoundByAnybody() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            for command in ["show", "explain", "verify", "approve", "cancel", "retry"] {
                let reply = await desk.type(command, unknown)
                #expect(reply.status == .notFound && reply.errors.contains("run_unknown"), "\(command)")
            }
            #expect(await desk.type("show", "not-an-id").errors.contains("'not-an-id' is not a run's id"))
        }
    }

    @Test func aRunIsShownAsATimelineAsEventsAndAsJSON() async throws {
        let desk = try Desk()
        let run = try #require(await desk.type("start", "greet", "--input", #"{"name":"A"}"#, "--json").json?["run"]?.stringValue)
        let timeline = await desk.type("show", run).output
        #expect(timeline.contains(#"look-up"#) && timeline.contains(#"done "A" → "Hello, A""#))
        let raw = await desk.type("show", run, "--events").output
        #expect(raw.contains("step.succeeded  look-up") && raw.contains("hash"))
        let json = await desk.type("show", run, "--json").json
        #expect(json?["state"] == "completed" && json?["events"]?.arrayValue?.first?["kind"] == "run.started")
    }

    @Test func anExpiredRunIsListedAndVerifiedButNotShown() async throws {
        let desk = try Desk()
        let reply = await desk.type("start", "greet", "--input", #"{"name":"A"}"#, "--wait", "--json")
        let run = try #require(reply.json?["run"]?.stringValue)
        let store = try await desk.store.open(.engine)
        #expect(try await store.expire(ExpiryRequest(closedBefore: .distantFuture, limit: 1_000)).expired == 1)
        await store.close()
        for command in ["show", "explain"] {
            let reply = await desk.type(command, run)
            #expect(reply.status == .conflict && reply.errors.contains("run_expired"), "\(command)")
        }
        let verified = await desk.type("verify", run)
        #expect(verified.status == .success && verified.output.contains("expired") && !verified.output.contains("proven once"))
        #expect(await desk.type("verify", "--all").status == .success)
        let listed = await desk.type("list", "--json").json?.arrayValue?.first
        #expect(listed?["run"]?.stringValue == run && listed?["expired_at"] != nil)
    }

    @Test func aWaitingRunIsExplained() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            let text = await desk.type("explain", run).output
            #expect(text.contains("is waiting") && text.contains("waits for a signal"))
            let json = await desk.type("explain", run, "--json").json
            #expect(json?["state"] == "waiting" && json?["moves"]?.arrayValue?.first?["command"]?.arrayValue?.first == "signal")
        }
    }

    @Test func everyRunOfAStoreIsVerified() async throws {
        let desk = try Desk()
        for name in ["A", "B"] { await desk.type("start", "greet", "--input", #"{"name":"\#(name)"}"#) }
        let reply = await desk.type("verify", "--all")
        #expect(reply.status == .success && reply.output == "2 runs verified, all sound, 0 takeovers.\n")
        #expect(await desk.type("verify", "--all", "--json").json?["sound"] == true)
        #expect(await desk.type("verify").status == .usage)
    }

    @Test func nothingWaitsInAnEmptyStore() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            #expect(await desk.type("approvals").output == "Nothing waits for a person.\n")
            #expect(await desk.type("approvals", "--json").output == "[]\n")
        }
    }

    @Test func aStoreThatIsNoneIsSaidToBeNone() async throws {
        let desk = try Desk()
        let missing = await desk.type("list")
        #expect(missing.status == .store && missing.errors.contains("store_missing"))
        let wrong = desk.folder.appending(path: "text.db").path
        try Data("hello".utf8).write(to: URL(fileURLWithPath: wrong))
        for command in ["list", "run"] {
            let reply = await desk.type(command, "--store", wrong)
            #expect(reply.status == .store && reply.errors.contains("store_not_ours"), "\(command)")
        }
    }

    @Test func helpSaysWhatTheCommandStatusMeans() async throws {
        let desk = try Desk()
        let help = await desk.type("--help")
        #expect(
            help.status == .success && help.output.contains("Exit status:") && help.output.contains("5  the store cannot be used")
        )
        #expect(await desk.type("approve", "--help").output.contains("Whoever started a run cannot approve its actions"))
        let unknown = await desk.type("lst")
        #expect(unknown.status == .usage && unknown.errors.contains("lst"))
    }

    @Test func coloursAreForTerminalsThatWantThem() async throws {
        let desk = try Desk()
        await desk.type("start", "greet", "--input", #"{"name":"A"}"#)
        #expect(await desk.type("list") { $0.isTerminal = true }.output.contains("\u{1B}[32mcompleted"))
        let plain = await desk.type("list") {
            $0.isTerminal = true
            $0.variables["NO_COLOR"] = "1"
        }
        #expect(!plain.output.contains("\u{1B}"))
    }
}
