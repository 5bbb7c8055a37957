import PerdureStore

extension Client {
    /// A ring can be missed while a watch begins; a slow look makes up for it.
    private static let slowLook = Duration.seconds(1)

    /// Returns when the condition holds, which is asked whenever the store says that another process has written; cancelled, it throws
    /// `CancellationError`.
    package func wait(until condition: (Client) async throws -> Bool) async throws {
        let (rings, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watch = store.onOutsideDelivery { continuation.yield() }
        defer { watch.end() }
        let timer = Task {
            while (try? await Task.sleep(for: Self.slowLook)) != nil { continuation.yield() }
        }
        defer { timer.cancel() }
        continuation.yield()
        for await _ in rings where try await condition(self) { return }
        throw CancellationError()
    }
}
