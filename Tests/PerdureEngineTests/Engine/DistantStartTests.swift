import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Runs that are started by somebody who does not have their code.
@Suite(.timeLimit(.minutes(5))) struct DistantStartTests {
    private let ada = EngineHarness.ada

    private func json(_ text: String) -> Data { Data(text.utf8) }

    @Test func `a client starts a run that whoever hosts it takes on`() async throws {
        try await withEngines { harness in
            let engine = try await harness.open { StartTests.Ordering() }
            for (key, client) in [("inside", engine.client), ("outside", try await harness.observer())] {
                let (run, isNew) = try await client.start(
                    workflow: "ordering", json: json(#"{ "number" : 7 }"#), key: key, labels: ["team": "x"], by: ada)
                #expect(isNew)
                #expect(try await engine.result(of: run) == json("7"))
                let again = try await client.start(workflow: "ordering", json: json(#"{"number":7}"#), key: key, by: ada)
                #expect(again == (run, false))
                let conflict = await #expect(throws: PerdureError.self) {
                    try await client.start(workflow: "ordering", json: json(#"{"number":8}"#), key: key, by: ada)
                }
                #expect(conflict?.code == .runConflict)
                #expect(try await client.labels(of: run) == ["team": "x"])
                #expect(try await client.view(of: run).starter == ada)
            }
        }
    }

    @Test func `what nobody hosts needs a version, and waits for its code`() async throws {
        try await withEngines { harness in
            let client = try await harness.open { StartTests.Ordering() }.client
            let unknown = await #expect(throws: PerdureError.self) {
                try await client.start(workflow: "selling", json: json("{}"), by: ada)
            }
            #expect(unknown?.code == .workflowUnknown)
            let (run, _) = try await client.start(workflow: "ordering", version: "9", json: json(#"{"number":1}"#), by: ada)
            #expect(try await client.run(run).state == "ready")
            #expect(try await client.run(run).version == "9")
        }
    }

    @Test func `a run whose workflow cannot read the input is blocked, and says why`() async throws {
        try await withEngines { harness in
            let client = try await harness.open { StartTests.Ordering() }.client
            let (run, _) = try await client.start(workflow: "ordering", json: json(#"{"number":"seven"}"#), by: ada)
            try await harness.until(run, is: .blocked)
            #expect(try await harness.attributes(.runBlocked, of: run)["message"]?.stringValue?.contains("Int at number") == true)
        }
    }

    @Test func `what cannot be started is refused, and nothing is written`() async throws {
        try await withEngines { harness in
            let client = try await harness.open { StartTests.Ordering() }.client
            func code(_ start: () async throws -> (run: RunID, isNew: Bool)) async -> PerdureError.Code? {
                await #expect(throws: PerdureError.self) { _ = try await start() }?.code
            }
            let input = json(#"{"number":1}"#)
            #expect(await code { try await client.start(workflow: "a b", json: input, by: ada) } == .nameInvalid)
            #expect(
                await code { try await client.start(workflow: "ordering", version: "a b", json: input, by: ada) } == .nameInvalid)
            #expect(await code { try await client.start(workflow: "ordering", json: json("{"), by: ada) } == .inputUndecodable)
            #expect(
                await code { try await client.start(workflow: "ordering", json: input, key: "\n", by: ada) } == .nameInvalid)
            #expect(
                await code { try await client.start(workflow: "ordering", json: input, in: "a b", by: ada) } == .nameInvalid)
            #expect(
                await code { try await client.start(workflow: "ordering", json: input, queue: QueuePlace("q"), by: ada) }
                    == .queueUnknown)
            let large = json("\"\(String(repeating: "x", count: Payload.defaultLimit))\"")
            #expect(await code { try await client.start(workflow: "ordering", json: large, by: ada) } == .payloadTooLarge)
            let confined = try client.confined(to: "shop")
            #expect(
                await code { try await confined.start(workflow: "ordering", json: input, in: "default", by: ada) } == .usage)
            #expect(try await client.runs().isEmpty)
        }
    }
}
