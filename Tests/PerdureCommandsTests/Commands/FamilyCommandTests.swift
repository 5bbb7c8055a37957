import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Commands that follow a run into its children.
@Suite(.timeLimit(.minutes(5))) struct FamilyCommandTests {
    private let order = #"{"item":"book","amount":12}"#

    // Promise: 10
    @Test func aRunIsShownWithItsChildren() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "deliver", order)
            try await desk.until(run) { $0.openChildren.contains { $0.subject == "ship" } }
            let shown = await desk.type("show", run)
            #expect(shown.output.contains("child greet  started as run ") && shown.output.contains(#"with {"name":"book"}"#))
            #expect(shown.output.contains(#"child greet  completed → "Hello, book""#))
            #expect(shown.output.contains("which goes on by itself"))
            for subject in ["greet", "wait", "ship"] {
                #expect(shown.output.contains("as child '\(subject)' of \(run)"), "\(subject)")
            }
            #expect(shown.output.contains("look-up") && shown.output.contains(#"done "book" → "Hello, book""#))
            #expect(await !desk.type("show", run, "--alone").output.contains("as child"))
            let json = await desk.type("show", run, "--json").json
            let children = json?["children"]?.arrayValue
            #expect(children?.compactMap { $0["workflow"]?.stringValue } == ["greet", "wait", "ship"])
            #expect(children?.first?["events"]?.arrayValue?.first?["attributes"]?["parent"]?["run"] == .string(run))
            #expect(await desk.type("show", run, "--events").output.contains("run.started"))
        }
    }

    // Promise: 10
    @Test func aRunIsExplainedAndMovedByItsChildren() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "deliver", order)
            try await desk.until(run) { $0.openChildren.contains { $0.subject == "ship" } }
            let client = try await Client(desk.store)
            let view = try await client.view(of: try #require(RunID(run)))
            let child = try #require(view.openChildren.first).run.description
            await client.close()
            try await desk.until(child) { !$0.openApprovals.isEmpty }
            let text = await desk.type("explain", run).output
            #expect(text.contains("It waits for child 'ship', run \(child) of ship 2.1."))
            #expect(text.contains("In child 'ship': Step 'charge' waits for an approval by role:finance"))
            #expect(text.contains("approve \(child) charge"))
            #expect(text.contains("Child 'wait', run "))
            #expect(await desk.type("approve", child, "charge", "--yes", as: "grace").status == .success)
            try await desk.untilClosed(run)
            #expect(await desk.type("explain", run, "--json").json?["state"] == "completed")
        }
    }

    // Promise: 10
    @Test func aRunIsVerifiedWithItsChildren() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "deliver", order)
            try await desk.until(run) { $0.openChildren.contains { $0.subject == "ship" } }
            let reply = await desk.type("verify", run, "--json")
            #expect(reply.json?["sound"] == true && reply.json?["runs"]?.arrayValue?.count == 4)
            #expect(await desk.type("verify", "--all").output.hasPrefix("4 runs verified, all sound"))
        }
    }
}
