import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// The proofs that `verify` gives of one run.
@Suite(.timeLimit(.minutes(5))) struct ProofCommandTests {
    /// Greets otherwise than the run did.
    private struct GreetOtherwise: Workflow {
        static let name = "greet"
        static let owner = "tests"
        static let version: WorkflowVersion = "1"
        func run(_ input: Greet.Input, _ context: WorkflowContext) async throws -> String {
            try await context.read("look-up", input: input.name) { name, _ in "Hello, \(name)" } + "!"
        }
    }

    /// Throws what the run was not failed with.
    private struct GreetNobody: Workflow {
        static let name = "greet"
        static let owner = "tests"
        static let version: WorkflowVersion = "1"
        func run(_ input: Greet.Input, _ context: WorkflowContext) async throws -> String {
            _ = try await context.read("look-up", input: input.name) { name, _ in "Hello, \(name)" }
            throw CancellationError()
        }
    }

    /// Has more to do.
    private struct GreetTwice: Workflow {
        static let name = "greet"
        static let owner = "tests"
        static let version: WorkflowVersion = "1"
        func run(_ input: Greet.Input, _ context: WorkflowContext) async throws -> String {
            let first = try await context.read("look-up", input: input.name) { name, _ in "Hello, \(name)" }
            return try await context.read("look-up again", input: first) { first, _ in first }
        }
    }

    private func proofs(_ reply: Desk.Reply) throws -> JSONObject {
        try #require(reply.json?["runs"]?.arrayValue?.first?["proofs"]?.objectValue)
    }

    private func greeted() async throws -> (Desk, String) {
        let desk = try Desk()
        let reply = await desk.type("start", "greet", "--input", #"{"name":"A"}"#, "--wait", "--json")
        return (desk, try #require(reply.json?["run"]?.stringValue))
    }

    // Promise: 15
    @Test func aRunThatPeopleMovedHasAllThreeProofsAndSaysWhoMovedIt() async throws {
        let desk = try Desk()
        var run = ""
        try await desk.hosting { engine in
            run = try await desk.start(engine, "ship", #"{"item":"book","amount":12}"#)
            try await desk.until(run) { record, _ in record.state == .waiting }
        }
        // Another process takes it on.
        try await desk.hosting { _ in
            let approvals = await desk.type("approvals", "--json").json?.arrayValue
            let digest = try #require(approvals?.first?["digest"]?.stringValue)
            await desk.type("approve", run, "charge", "--yes", "--digest", digest, "--reason", "looks right")
            try await desk.untilClosed(run)
        }
        let reply = await desk.type("verify", run, "--json")
        let proofs = try proofs(reply)
        #expect(reply.status == .success)
        for name in ["replay", "continuity", "chain"] { #expect(proofs[name]?["verdict"] == "proven", "\(reply.output)") }
        let facts = reply.json?["runs"]?.arrayValue?.first?["statement"]?.arrayValue ?? []
        try #require(facts.map { $0["fact"] } == ["started", "resumed", "decided", "ended"])
        #expect(facts.first?["by"]?["id"] == "shop")
        #expect(facts.dropFirst().first?["clean"] == true)
        #expect(facts.dropFirst().first?["replayed_events"] == .integer((facts[1]["seq"]?.integerValue ?? 0) - 1))
        #expect(facts.dropFirst(2).first?["by"]?["id"] == "ada" && facts[2]["subject"] == "charge")
        let text = await desk.type("verify", run).output
        #expect(text.contains("replay fidelity  proven") && text.contains("approved by human ada"))
        #expect(text.contains("events were replayed"))
    }

    // Promise: 15
    @Test func withoutTheCodeAReplayIsNotProvenAndNotWrong() async throws {
        let (desk, run) = try await greeted()
        for workflows in [{ [] }, { throw CancellationError() }] as [@Sendable () async throws -> Workflows] {
            let reply = await desk.type("verify", run, "--json") { $0.workflows = workflows }
            let proofs = try proofs(reply)
            #expect(reply.status == .success && proofs["replay"]?["verdict"] == "not_proven")
            #expect(proofs["replay"]?["reason"]?.stringValue?.hasPrefix("the code is not here") == true)
            #expect(proofs["chain"]?["verdict"] == "proven")
            let text = await desk.type("verify", run) { $0.workflows = workflows }.output
            #expect(text.contains("replay fidelity  not proven"))
        }
    }

    // Promise: 15
    @Test func codeThatTellsAnotherStoryRefutesTheReplay() async throws {
        let (desk, run) = try await greeted()
        func refutation(_ workflow: any Workflow) async throws -> String? {
            let workflows = [Self.registered(workflow)]
            let reply = await desk.type("verify", run, "--json") { $0.workflows = { workflows } }
            #expect(reply.status == .failed && reply.json?["sound"] == false)
            let replay = try proofs(reply)["replay"]
            #expect(replay?["verdict"] == "refuted")
            return replay?["reason"]?.stringValue
        }
        #expect(try await refutation(GreetOtherwise())?.contains("gives another result") == true)
        #expect(try await refutation(GreetNobody())?.contains("with run.failed") == true)
        #expect(try await refutation(GreetTwice())?.contains("has not come to its end") == true)
    }

    private static func registered(_ workflow: some Workflow) -> RegisteredWorkflow { RegisteredWorkflow(workflow) }

    @Test func whatWasChangedRefutesTheChainAndLeavesTheRestUnproven() {
        var history = HistoryBuilder()
        history.done("reserve")
        history.add(.runCompleted, "", [:], output: "1")
        history.events[1].output = .inline(Array("2".utf8))
        let proof = RunProof(history.record, history.events, history.verify(), rehearsal: .failure(.init("no code")))
        #expect(proof.chain.isRefuted && proof.isRefuted)
        #expect(proof.replay.name == "not_proven" && proof.continuity.name == "not_proven")
    }

    @Test func whatWasDoneAgainRefutesTheContinuity() {
        var history = HistoryBuilder()
        history.done("reserve")
        history.done("reserve")
        history.add(.runCompleted, "", [:], output: "1")
        let proof = RunProof(history.record, history.events, history.verify(), rehearsal: .failure(.init("no code")))
        #expect(proof.chain == .proven && proof.continuity.isRefuted)
        #expect(proof.continuity.reason?.hasPrefix("event 3: ") == true)
    }

    @Test func retriesDoubtsAndInterventionsAreStatedInTheirOrder() throws {
        var history = HistoryBuilder()
        history.intend("send")
        history.add(.runResumed, ["clean": false, "build": "b", "node": "n"])
        history.add(.stepInDoubt, "send", ["effect": "at_most_once", "reason": "interrupted", "attempt": 1])
        history.add(
            .stepResolved, "send", ["resolution": "did_not_happen", "by": HistoryBuilder.who("human", "ada"), "reason": "asked"])
        history.intend("send")
        history.add(.stepAttemptFailed, "send", ["effect": "at_most_once", "attempt": 1, "definite": true, "type": "Busy"])
        history.add(.operatorAction, "send", ["action": "retry", "by": HistoryBuilder.who("human", "bob")])
        history.add(.runParked, ["reason": "poisoned", "poisoned": true, "build": "b"])
        history.add(.runRepinned, ["from": "2.1", "to": "3", "by": HistoryBuilder.who("human", "bob")])
        history.add(.runTerminated, ["by": HistoryBuilder.who("human", "ada")])
        let facts = RunFact.facts(of: history.events)
        try #require(
            facts.map(\.kind) == [
                .started, .resumed, .doubted, .settled, .retried, .intervened, .stood, .intervened, .intervened,
            ])
        #expect(facts[1].isClean == false && facts[1].replayedEvents == 2 && facts[1].build == "b" && facts[1].node == "n")
        #expect(facts.compactMap { $0.by?["id"] } == ["shop", "ada", "bob", "bob", "ada"])
    }

    @Test func anAttemptThatIsIntendedAgainWithoutAnOutcomeIsARetry() {
        var history = HistoryBuilder()
        for _ in 0..<2 { history.add(.stepIntended, "send", ["effect": "idempotent", "attempt": 1], input: "1") }
        #expect(RunFact.facts(of: history.events).map(\.kind) == [.started, .retried])
    }
}
