import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import ServiceLifecycle
import Testing

@Suite(.timeLimit(.minutes(5))) struct StartCommandTests {
    @Test func aRunIsHostedHereWhereNobodyElseHasTheStore() async throws {
        let desk = try Desk()
        let reply = await desk.type("start", "greet", "--input", #"{"name": "Ada"}"#, "--json")
        #expect(reply.status == .success)
        #expect(reply.json?["state"] == "completed")
        #expect(reply.json?["output"] == "Hello, Ada")
    }

    @Test func theInputComesFromAFileOrStandardInput() async throws {
        let desk = try Desk()
        let file = desk.folder.appending(path: "input.json")
        try Data(#"{"name": "Bob"}"#.utf8).write(to: file)
        #expect(await desk.type("start", "greet", "--input", "@\(file.path)").output.contains(#"completed: "Hello, Bob""#))
        #expect(await desk.type("start", "greet", "--input", "-", input: #"{"name":"Cy"}"#).output.contains("Hello, Cy"))
    }

    @Test func aRunIsHandedToWhoeverHostsTheStore() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let reply = await desk.type("start", "greet", "--input", #"{"name": "Ada"}"#, "--wait", "--json")
            #expect(reply.status == .success)
            #expect(reply.json?["output"] == "Hello, Ada")
            let run = try #require(reply.json?["run"]?.stringValue)
            #expect(await desk.type("verify", run).status == .success)
        }
    }

    @Test func aKeyIsOneRunAndAnotherInputIsAConflict() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            let first = await desk.type("start", "greet", "--input", #"{"name":"A"}"#, "--key", "k", "--json")
            let second = await desk.type("start", "greet", "--input", #"{"name": "A"}"#, "--key", "k", "--json")
            #expect(first.json?["run"] != nil && first.json?["run"] == second.json?["run"])
            let other = await desk.type("start", "greet", "--input", #"{"name":"B"}"#, "--key", "k")
            #expect(other.status == .conflict && other.errors.contains("run_conflict"))
        }
    }

    @Test(arguments: [true, false])
    func aRunThatTheKeyFindsCountsOnlyIfItIsWaitedFor(isHosted: Bool) async throws {
        let desk = try Desk()
        let first = await desk.type("start", "fail", "--key", "k", "--json")
        #expect(first.status == .failed && first.json?["new"] == true)
        func look() async {
            let found = await desk.type("start", "fail", "--key", "k")
            #expect(found.status == .success && found.output.contains("has this key already; it is failed"))
            #expect(!found.output.contains("started") && found.output.split(separator: "\n").count == 1)
            let json = await desk.type("start", "fail", "--key", "k", "--json")
            #expect(json.status == .success && json.json?["new"] == false && json.json?["run"] == first.json?["run"])
            let waited = await desk.type("start", "fail", "--key", "k", "--wait")
            #expect(waited.status == .failed && waited.output.contains("the other side says no"))
        }
        if isHosted { try await desk.hosting { _ in await look() } } else { await look() }
    }

    @Test func aRunThatTheKeyFindsOpenIsNotSaidToBeStarted() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            let first = await desk.type("start", "wait", "--key", "k").output
            #expect(first.contains("is started"))
            let found = await desk.type("start", "wait", "--key", "k").output
            #expect(found.contains("has this key already") && !found.contains("is started"))
        }
    }

    @Test func aRunIsStartedWithLabelsAndADeadline() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            let reply = await desk.type("start", "wait", "--label", "customer=7", "--deadline", "90s", "--json")
            let run = try #require(reply.json?["run"]?.stringValue)
            let started = await desk.type("show", run, "--json").json?["events"]?.arrayValue?.first?["attributes"]
            #expect(started?["labels"] == ["customer": "7"] && started?["deadline"] != nil)
            try await desk.until(run) { record, _ in record.state == .waiting }
            desk.clock.advance(by: .seconds(100))
            try await desk.untilClosed(run)
            #expect(await desk.type("show", run).output.contains("deadline"))
            #expect(await desk.type("list", "--state", "failed", "--json").json?.arrayValue?.count == 1)
            #expect(await desk.type("start", "wait", "--deadline", "soon").status == .usage)
            let many = await desk.type(["start", "wait"] + (0...32).flatMap { ["--label", "n\($0)=1"] })
            #expect(many.status == .usage && many.errors.contains("label_invalid"))
        }
    }

    @Test func whatIsSaidToPeopleIsNotAmongTheJSON() async throws {
        let desk = try Desk()
        let reply = await desk.type("start", "wait", "--json") { $0.companions = [StopsOnceARunIsThere(store: desk.store)] }
        #expect(reply.status == .failed && reply.output == "" && reply.errors.contains("Stopped; the run goes on"))
    }

    @Test func aFailedRunIsAFailedCommand() async throws {
        let desk = try Desk()
        let reply = await desk.type("start", "fail", "--json")
        #expect(reply.status == .failed)
        #expect(reply.json?["state"] == "failed")
        #expect(reply.json?["error"]?["message"]?.stringValue?.contains("the other side says no") == true)
    }

    @Test func anUnknownWorkflowIsNotFound() async throws {
        let desk = try Desk()
        let reply = await desk.type("start", "gret")
        #expect(reply.status == .notFound)
        #expect(reply.errors.contains("workflow_unknown") && reply.errors.contains("greet"))
        #expect(!FileManager.default.fileExists(atPath: desk.path))
    }

    @Test func inputThatDoesNotFitNamesTheField() async throws {
        let desk = try Desk()
        let reply = await desk.type("start", "ship", "--input", #"{"item":"x","amount":"much"}"#)
        #expect(reply.status == .usage)
        #expect(reply.errors.contains("at 'amount'") && reply.errors.contains("input_undecodable"))
    }

    @Test func inputThatIsNoJSONIsSaidToBeNone() async throws {
        let desk = try Desk()
        let reply = await desk.type("start", "greet", "--input", "{name}")
        #expect(reply.status == .usage && reply.errors.contains("--input is not JSON: at byte 1"))
        #expect(await desk.type("start", "greet", "--input", "@/nowhere").errors.contains("cannot be read"))
    }

    @Test func aHostEndsWhenItIsToldTo() async throws {
        let desk = try Desk()
        let reply = await desk.type("run") { $0.companions = [ReadyToStop()] }
        #expect(reply.status == .success)
        #expect(reply.output.contains("Hosting") && reply.output.contains("ship 2.1") && reply.output.contains("Stopped"))
    }

    @Test func aSecondHostIsRefused() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            let reply = await desk.type("run")
            #expect(reply.status == .store && reply.errors.contains("store_locked"))
            #expect(reply.errors.contains("docs/errors/store_locked.md"))
        }
    }
}

/// A companion that shuts the host down when a run waits.
private struct StopsOnceARunIsThere: Service {
    let store: StoreConfiguration

    func run() async throws {
        let client = try await Client(store)
        try await client.wait { try await $0.counts()["waiting"] == 1 }
        await client.close()
    }
}

/// A companion whose end shuts the host down.
private struct ReadyToStop: Service {
    func run() async throws {}
}
