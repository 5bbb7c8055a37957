import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What is said of versions: `versions` of what is, `check` of what a deployment would make of it.
@Suite(.timeLimit(.minutes(5))) struct VersionsCommandTests {
    /// Waits for what nobody records.
    private struct WaitForNothing: Workflow {
        static let name = "wait"
        static let version: WorkflowVersion = "1"
        func run(_ input: Nothing, _ context: WorkflowContext) async throws -> Int {
            try await context.act("prepare", input: 1, .idempotent(retention: .forever)) { _, _ in
            } undo: { _, _ in
            }
            await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
            return 1
        }
    }

    /// A store in which one run waits.
    private func withWaitingRun(_ body: (Desk, String) async throws -> Void) async throws {
        let desk = try Desk()
        var run = ""
        try await desk.hosting { engine in
            run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
        }
        try await body(desk, run)
    }

    private func check(_ desk: Desk, _ arguments: String..., with workflows: Workflows) async -> Desk.Reply {
        await desk.type(["check"] + arguments) { $0.workflows = { workflows } }
    }

    private func finding(_ reply: Desk.Reply) throws -> JSONObject {
        try #require(reply.json?["runs"]?.arrayValue?.first?.objectValue)
    }

    // MARK: versions

    @Test func aVersionThatSomebodyHostsIsNotStranded() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            let reply = await desk.type("versions")
            #expect(reply.status == .success && reply.output.hasPrefix("Hosted by process \(getpid()) on "))
            #expect(reply.output.contains("wait      1           1       0  hosted, takes new runs"))
            #expect(await desk.type("versions", "--drained").output.contains("No versions."))
        }
    }

    // Promise: 25
    @Test func aVersionWithOpenRunsThatNobodyHostsIsStranded() async throws {
        try await withWaitingRun { desk, _ in
            let reply = await desk.type("versions", "--stranded", "--json")
            let versions = reply.json?["versions"]?.arrayValue ?? []
            #expect(reply.status == .failed && versions.count == 1 && reply.json?["nodes"]?.arrayValue?.isEmpty == true)
            #expect(versions.first?["workflow"] == "wait" && versions.first?["open"] == 1)
            #expect(await desk.type("versions").output.hasPrefix("No process hosts this store now.\n"))
        }
    }

    // Promise: 25
    @Test func aVersionThatNoRunNeedsIsDrained() async throws {
        let desk = try Desk()
        await desk.type("start", "greet", "--input", #"{"name":"A"}"#)
        let reply = await desk.type("versions", "--drained", "--json")
        #expect(reply.status == .success)
        let version = reply.json?["versions"]?.arrayValue?.first
        #expect(version?["workflow"] == "greet" && version?["drained"] == true && version?["runs"] == ["completed": 1])
        #expect(await desk.type("versions", "--drained", "--stranded").status == .usage)
    }

    // MARK: check

    @Test func codeThatAsksForTheSameFits() async throws {
        try await withWaitingRun { desk, run in
            let reply = await desk.type("check")
            #expect(reply.status == .success && reply.output.contains("1 runs checked, 1 fit."))
            #expect(await desk.type("check", run, "--json").json?["runs"]?.arrayValue?.isEmpty == true)
        }
    }

    // Promise: 25
    @Test func codeThatAsksForSomethingElseIsNamedWithTheMessageAndNothingIsRecorded() async throws {
        try await withWaitingRun { desk, run in
            let before = await desk.type("show", run, "--events").output
            let reply = await check(desk, "--json", with: [RegisteredWorkflow(WaitOtherwise())])
            let found = try finding(reply)
            #expect(reply.status == .failed && found["verdict"] == "blocks" && found["run"]?.stringValue == run)
            let message = try #require(found["message"]?.stringValue)
            #expect(message.contains("'prepare'") && message.contains("'get ready'"))
            let text = await check(desk, with: [RegisteredWorkflow(WaitOtherwise())]).output
            #expect(text.contains("1 runs checked, 0 fit.") && text.contains("would block: \(message)"))
            #expect(await desk.type("show", run, "--events").output == before)
        }
    }

    @Test func codeThatWaitsForNothingIsNamed() async throws {
        try await withWaitingRun { desk, _ in
            let reply = await check(desk, "--json", with: [RegisteredWorkflow(WaitForNothing())])
            let found = try finding(reply)
            #expect(found["message"]?.stringValue?.contains("nothing that is recorded") == true)
        }
    }

    // Promise: 25
    @Test func aVersionThatIsLeftOutIsNamed() async throws {
        try await withWaitingRun { desk, run in
            let reply = await check(desk, "--json", with: [RegisteredWorkflow(Greet())])
            let found = try finding(reply)
            #expect(reply.status == .failed && found["verdict"] == "no_code")
            #expect(await check(desk, with: []).output.contains("would be stranded"))
            #expect(await check(desk, "--workflow", "greet", with: []).status == .success)
        }
    }

    @Test func closedRunsAreReplayedWhereThatIsAskedFor() async throws {
        let desk = try Desk()
        let reply = await desk.type("start", "greet", "--input", #"{"name":"A"}"#, "--json")
        let run = try #require(reply.json?["run"]?.stringValue)
        #expect(await desk.type("check").output.contains("0 runs checked"))
        #expect(await desk.type("check", "--closed").output.contains("1 runs checked, 1 fit."))
        #expect(await check(desk, run, with: []).status == .failed)
        #expect(await desk.type("check", run, "--closed").status == .usage)
        #expect(await desk.type("check", "nonsense").status == .usage)
        #expect(await desk.type("check", "0193a5b0-0000-7000-8000-000000000001").status == .notFound)
    }
}
