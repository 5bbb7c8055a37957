import PerdureSQLite
import PerdureStore
import Testing

@testable import PerdureEngine

/// Waiting for something to come about, from outside of the engine.
@Suite(.timeLimit(.minutes(5))) struct ClientWatchTests {
    @Test func aWaitThatHasEndedIsToldOfNothingAnyMore() async throws {
        try await withEngines { harness in
            try await harness.open { Flow { input, _ in input } }
            let store = WatchedStore(
                try await StoreConfiguration.sqlite(harness.path).open(.client), pulse: harness.pulse, script: harness.script)
            let groups = CommitGroups(store), client = Client(store: store) { try await Client.commit($0, in: groups) }
            for _ in 0..<10 { try await client.wait { _ in true } }
            let cancelled = Task { try await client.wait { _ in false } }
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(store.watches == 0)
            await client.close()
        }
    }
}
