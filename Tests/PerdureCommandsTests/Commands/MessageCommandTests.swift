import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct MessageCommandTests {
    private let unknown = "0193a5b0-0000-7000-8000-00000000dead"

    @Test func aSignalReachesTheRunOnce() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            #expect(await desk.type("signal", run, "go", "--payload", "41", "--id", "one").status == .success)
            #expect(await desk.type("signal", run, "go", "--payload", "41", "--id", "one").status == .success)
            let other = await desk.type("signal", run, "go", "--payload", "42", "--id", "one")
            #expect(other.status == .conflict && other.errors.contains("message_conflict"))
            try await desk.untilClosed(run)
            let shown = await desk.type("show", run, "--json").json
            let signals = shown?["events"]?.arrayValue?.filter { $0["kind"] == "signal.received" }
            #expect(signals?.count == 1 && signals?.first?["input"] == 41)
            let late = await desk.type("signal", run, "go", "--payload", "1")
            #expect(late.status == .conflict && late.errors.contains("run_closed"))
        }
    }

    @Test func anUpdateIsAnsweredOnceOrRejected() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "limited")
            let rejected = await desk.type("update", run, "set-limit", "--payload", "0")
            #expect(rejected.status == .failed && rejected.output == "")
            #expect(rejected.errors.contains("a limit is at least 1") && rejected.errors.contains("update_rejected"))
            let reply = await desk.type("update", run, "set-limit", "--payload", "12", "--id", "ticket-7")
            #expect(reply.status == .success && reply.output == #""the limit is 12""# + "\n")
            try await desk.untilClosed(run)
            let again = await desk.type("update", run, "set-limit", "--payload", "12", "--id", "ticket-7")
            #expect(again.status == .success && again.output == reply.output)
            #expect(await desk.type("update", run, "set-limit", "--payload", "13").status == .conflict)
            #expect(await desk.type("update", run, "set-limit", "--payload", "{").status == .usage)
            #expect(await desk.type("update", unknown, "set-limit").status == .notFound)
        }
    }

    @Test func whatIsAcceptedIsSaidInJSONToo() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            let signal = await desk.type("signal", run, "stop", "--payload", "1", "--json").json
            #expect(signal?["run"]?.stringValue == run && signal?["accepted"] == "signal" && signal?["subject"] == "stop")
            let asked = try await desk.start(engine, "ask")
            try await desk.until(asked) { !$0.openQuestions.isEmpty }
            let answer = await desk.type("answer", asked, "region", "--value", #""eu""#, "--json").json
            #expect(answer?["accepted"] == "answer" && answer?["subject"] == "region")
            #expect(await desk.type("cancel", run, "--json").json?["accepted"] == "cancel")
        }
    }

    @Test func aSignalThatMakesNoSenseIsRefusedAtOnce() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            #expect(await desk.type("signal", run, "no spaces").status == .usage)
            #expect(await desk.type("signal", run, "go", "--payload", "{").errors.contains("--payload is not JSON"))
            #expect(await desk.type("signal", unknown, "go").status == .notFound)
            #expect(await desk.type("signal", "r-1", "go").status == .usage)
        }
    }

    @Test func aCancelledRunUndoesWhatItDid() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { $0.step("prepare")?.isOver == true }
            #expect(await desk.type("cancel", run).status == .success)
            try await desk.untilClosed(run)
            let shown = await desk.type("show", run).output
            #expect(shown.contains("cancellation asked for by human ada (unauthenticated)") && shown.contains("undo prepare"))
            #expect(await desk.type("explain", run).output.contains("was cancelled"))
            #expect(await desk.type("cancel", run).status == .conflict)
            #expect(await desk.type("cancel", unknown).status == .notFound)
        }
    }

    @Test func aTerminatedRunSaysWhyAndUndoesNothing() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { $0.step("prepare")?.isOver == true }
            #expect(await desk.type("terminate", run).status == .usage)
            #expect(await desk.type("terminate", run, "--reason", "superseded").status == .success)
            try await desk.untilClosed(run)
            let explained = await desk.type("explain", run).output
            #expect(explained.contains("terminated") && explained.contains("(superseded); nothing was undone."))
            #expect(explained.contains("'prepare'") && explained.contains("stays done"))
            #expect(await desk.type("terminate", run, "--reason", "again").status == .conflict)
        }
    }
}
