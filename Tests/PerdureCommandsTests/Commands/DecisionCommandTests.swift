import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct DecisionCommandTests {
    /// A run that waits for the approval of `charge`.
    private func waiting(_ desk: Desk, _ engine: Engine) async throws -> String {
        let run = try await desk.start(engine, "ship", #"{"item":"book","amount":12}"#)
        try await desk.until(run) { !$0.openApprovals.isEmpty }
        return run
    }

    // Promise: 28
    @Test func whatIsApprovedIsShownFirst() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await waiting(desk, engine)
            let reply = await desk.type("approve", run, answer: "y")
            #expect(reply.status == .success)
            #expect(reply.output.contains(#""input": 12"#) && reply.output.contains(#""irreversible": "money has moved""#))
            #expect(reply.output.contains("digest ") && reply.output.contains("approved by human ada (unauthenticated)"))
            try await desk.untilClosed(run)
            #expect(await desk.type("show", run).output.contains("approved by human ada (unauthenticated)"))
            #expect(await desk.type("verify", run).status == .success)
        }
    }

    @Test func anythingButYesDecidesNothing() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await waiting(desk, engine)
            let reply = await desk.type("approve", run, answer: "")
            #expect(reply.status == .failed && reply.output.contains("Nothing was decided"))
            #expect(await desk.type("approvals", "--json").json?.arrayValue?.count == 1)
            let json = await desk.type("approve", run, "--json", answer: "")
            #expect(json.status == .failed && json.output == "" && json.errors.contains("Nothing was decided"))
            // Whoever was asked has seen what for.
            #expect(json.errors.contains(#""input": 12"#) && json.errors.contains("digest "))
        }
    }

    @Test func withoutATerminalYesIsNeeded() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await waiting(desk, engine)
            let reply = await desk.type("approve", run)
            #expect(reply.status == .usage && reply.errors.contains("--yes --digest"))
        }
    }

    @Test func anotherDigestIsRefused() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await waiting(desk, engine)
            let reply = await desk.type("approve", run, "--yes", "--digest", "0000000000")
            #expect(reply.status == .conflict && reply.errors.contains("approval_mismatch"))
            let listed = await desk.type("approvals", "--json").json?.arrayValue?.first
            let digest = try #require(listed?["digest"]?.stringValue)
            #expect(
                await desk.type("approve", run, "charge", "--yes", "--digest", digest, "--json").json?["decision"] == "approved")
        }
    }

    @Test func aDenialFailsTheRun() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await waiting(desk, engine)
            #expect(await desk.type("deny", run, "charge", "--reason", "not now", "--yes").status == .success)
            try await desk.untilClosed(run)
            let shown = await desk.type("show", run).output
            #expect(shown.contains(#"denied by human ada (unauthenticated): "not now""#) && shown.contains("approval_denied"))
            let late = await desk.type("approve", run, "charge", "--yes")
            #expect(late.status == .conflict && late.errors.contains("approval_closed"))
            #expect(await desk.type("approve", run, "--yes").errors.contains("run_closed"))
        }
    }

    @Test func whoStartedARunCannotApproveIt() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            let started = await desk.type("start", "ship", "--input", #"{"item":"book","amount":12}"#, "--json")
            let run = try #require(started.json?["run"]?.stringValue)
            try await desk.until(run) { !$0.openApprovals.isEmpty }
            let own = await desk.type("approve", run, "--yes")
            #expect(own.status == .conflict && own.errors.contains("approval_not_permitted"))
            let renamed = await desk.type("approve", run, "--yes", "--as", "bob")
            #expect(renamed.status == .conflict && renamed.errors.contains("approval_not_permitted"))
            let other = await desk.type("approve", run, "--yes", as: "bob")
            #expect(other.status == .success && other.output.contains("human bob (unauthenticated)"))
        }
    }

    @Test func whoStartedARunUnderAnotherNameCannotApproveItEither() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            let input = #"{"item":"book","amount":12}"#
            let started = await desk.type("start", "ship", "--input", input, "--json", "--as", "carol")
            let run = try #require(started.json?["run"]?.stringValue)
            try await desk.until(run) { !$0.openApprovals.isEmpty }
            for arguments in [["--as", "bob"], []] {
                let own = await desk.type(["approve", run, "--yes"] + arguments)
                #expect(own.status == .conflict && own.errors.contains("approval_not_permitted"), "\(arguments)")
            }
            let other = await desk.type("approve", run, "--yes", "--as", "grace", as: "bob")
            #expect(other.output.contains("human grace (unauthenticated, os user bob)"))
            try await desk.untilClosed(run)
            #expect(await desk.type("show", run).output.contains("human carol (unauthenticated, os user ada)"))
        }
    }

    @Test func aStepThatAsksForNothingIsNotFound() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await waiting(desk, engine)
            #expect(await desk.type("approve", run, "ship-it", "--yes").status == .notFound)
            #expect(await desk.type("deny", run).status == .usage)
        }
    }

    @Test func aQuestionTakesItsAnswerOnce() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "ask")
            try await desk.until(run) { !$0.openQuestions.isEmpty }
            let listed = await desk.type("approvals")
            #expect(listed.output.contains("Question 'region' in ask") && listed.output.contains("Which region?"))
            let bad = await desk.type("answer", run, "region", "--value", "eu")
            #expect(bad.status == .usage && bad.errors.contains("A text needs its quotes"))
            #expect(await desk.type("answer", run, "zone", "--value", "1").status == .notFound)
            #expect(await desk.type("answer", run, "region", "--value", #""eu-1""#).status == .success)
            try await desk.untilClosed(run)
            let late = await desk.type("answer", run, "region", "--value", #""eu-2""#)
            #expect(late.status == .conflict && late.errors.contains("question_closed"))
        }
    }
}
