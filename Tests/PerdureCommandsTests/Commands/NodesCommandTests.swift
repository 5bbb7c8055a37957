import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Who hosts a store, as people are told.
@Suite(.timeLimit(.minutes(5))) struct NodesCommandTests {
    @Test func aFileIsHostedByOneProcessOrByNone() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            let reply = await desk.type("nodes")
            #expect(reply.status == .success && reply.output.hasPrefix("One process hosts this store.\nNODE "))
            #expect(
                reply.output.contains("\(getpid()) on ") && reply.output.contains("greet 1, ")
                    && reply.output.contains("ship 2.1"))
            #expect(!reply.output.contains("RENEWED"))
            let node = await desk.type("nodes", "--json").json?["nodes"]?.arrayValue?.first
            #expect(node?["process"] == .integer(Int64(getpid())) && node?["runs"] == 0 && node?["overdue"] == false)
            #expect(node?["since"]?.stringValue != nil && node?["renewed_at"] == nil)
        }
        #expect(await desk.type("nodes").output == "No process hosts this store now.\n")
        #expect(await desk.type("nodes", "--json").json == ["nodes": [], "held": false])
    }

    @Test func aNodeThatIsLateIsSaidToBe() {
        let now = Timestamp(microseconds: 1_770_000_000_000_000)
        func node(_ id: String, runs: Int, renewed: Duration, _ hosted: [ClaimRequest.Hosted]) -> NodeStanding {
            NodeStanding(
                registration: NodeRegistration(
                    id: NodeID(rawValue: id), build: "0123456789abcdef", host: "box", processID: 42, hosted: hosted),
                since: now - .seconds(192), ownedRuns: runs, renewedAt: now - renewed, isOverdue: renewed >= .seconds(15))
        }
        let greet = ClaimRequest.Hosted(workflow: "greet", version: "1")
        let text = NodesText.render(
            [node("node-1", runs: 3, renewed: .seconds(4), [greet]), node("node-2", runs: 12, renewed: .seconds(90), [])],
            now: now, style: .plain)
        #expect(
            text == """
                1 node lives. 1 is overdue: its runs wait until a node that lives takes them over.
                NODE    PROCESS    BUILD         SINCE       RUNS  RENEWED              HOSTS
                node-1  42 on box  0123456789a…  3m 12s ago     3  4s ago               greet 1
                node-2  42 on box  0123456789a…  3m 12s ago    12  1m 30s ago: overdue  nothing

                """)
        var late = node("node-1", runs: 0, renewed: .seconds(4), [])
        late.isAwaited = true
        let lines = NodesText.render([late], now: now, style: .plain).split(separator: "\n")
        #expect(
            lines[0] == "1 node lives."
                && lines[1].hasSuffix("Nothing is begun before these nodes have looked at it, or have ended: node-1."))
        #expect(
            NodesText.render([node("node-2", runs: 0, renewed: .seconds(90), [])], now: now, style: .plain)
                .hasPrefix("No node is known to live. 1 is overdue: "))
    }

    @Test(
        arguments: [
            ("shop.db", false), ("/var/lib/shop.db", false), ("C:shop.db", false), ("postgres.db", false),
            ("postgres://ada:secret@host/shop", true), ("postgresql://ada:secret@host/shop", true),
            ("POSTGRES://ada:secret@host/shop", true), ("postgres:/ada:secret@host/shop", true),
            ("mysql://ada:secret@host", true),
        ])
    func anAddressIsToldFromAPathAndShownWithoutItsPassword(text: String, isShared: Bool) {
        let place = StorePlace(text)
        #expect(place.isShared == isShared)
        #expect(isShared ? !place.description.contains("secret") : place.description == text)
    }

    @Test func whoForgetsTheOptionDoesNotReadThePasswordAgain() async throws {
        let desk = try Desk(), url = "postgres://ada:secret@host/shop"
        for words in [["list", url], ["show", url], ["start", url], ["list", "--limit=\(url)"]] {
            let reply = await desk.type(words)
            #expect(reply.status != .success && reply.errors.contains("postgres://ada@host/shop"), "\(reply.errors)")
            #expect(!reply.errors.contains("secret"))
        }
    }
}
