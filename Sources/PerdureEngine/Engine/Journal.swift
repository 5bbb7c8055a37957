package import Logging
import PerdureHistory
package import PerdureStore
import Synchronization

/// The one place through which everything becomes durable. Whatever has gathered while a commit was in flight goes into the next
/// one: no timer, and the busier the engine, the larger the groups.
///
/// A store that cannot commit now stops what waits, and nothing else: the same items are offered again, in the same order, until it
/// can. A commit whose outcome is unknown is settled by repeating it; the store recognises what it has already.
package final class Journal: Sendable {
    package typealias Completion = @Sendable (CommitResult?) -> Void

    private struct State {
        var items: [CommitItem] = []
        var completions: [Completion] = []
        var waiter: CheckedContinuation<Void, Never>?
        var isClosed = false
        var mayRetry = true
        var hasBegun = false
        /// Who waits before the store is asked again.
        var paused: CheckedContinuation<Void, Never>?
        var pauses = 0
    }

    private let store: any Store
    private let logger: Logger
    private let state = Mutex(State())
    private let after: @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    /// The most items that share a transaction.
    private static let groupLimit = 2_000

    /// - Parameter after: Calls an action when so much time has passed.
    package init(
        store: any Store, logger: Logger, after: @escaping @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    ) {
        self.store = store
        self.logger = logger
        self.after = after
    }

    /// Says that `run` is about to come for what is handed over. Before that nobody would.
    package func begin() { state.withLock { $0.hasBegun = true } }
    package var hasBegun: Bool { state.withLock { $0.hasBegun } }

    /// Hands an item over. The completion is called once, on any thread, when the item is durable or refused; with `nil` if the
    /// journal was closed or the store failed for good before that was known.
    package func submit(_ item: CommitItem, completion: @escaping Completion) {
        let (waiter, isClosed) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Bool) in
            if state.isClosed { return (nil, true) }
            state.items.append(item)
            state.completions.append(completion)
            defer { state.waiter = nil }
            return (state.waiter, false)
        }
        if isClosed { completion(nil) }
        waiter?.resume()
    }

    /// The same, awaited.
    package func submit(_ item: CommitItem) async -> CommitResult? {
        await withCheckedContinuation { continuation in submit(item) { continuation.resume(returning: $0) } }
    }

    /// Writes until it is closed; then writes what is left and returns. Fails what waits, and throws, if the store is corrupt or
    /// closed, or if it cannot commit after `stopRetrying`.
    package func run() async throws(StoreError) {
        while let (items, completions) = await next() {
            do {
                let results = try await commit(items)
                for (completion, result) in zip(completions, results) { completion(result) }
            } catch {
                for completion in completions { completion(nil) }
                failRest()
                throw error
            }
        }
    }

    package func close() {
        let waiter = state.withLock { state in
            state.isClosed = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// From now on a store that cannot commit counts as one that has failed for good. It is asked once more, at once.
    package func stopRetrying() {
        state.withLock { $0.mayRetry = false }
        endPause()
    }

    private func pause(for duration: Duration) async {
        await withCheckedContinuation { continuation in
            let number = state.withLock { state -> Int? in
                guard state.mayRetry else { return nil }
                state.pauses += 1
                state.paused = continuation
                return state.pauses
            }
            guard let number else { return continuation.resume() }
            after(duration) { [self] in endPause(number) }
        }
    }

    /// Ends the pause of this number, or whichever there is.
    private func endPause(_ number: Int? = nil) {
        let paused = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard number == nil || number == state.pauses else { return nil }
            defer { state.paused = nil }
            return state.paused
        }
        paused?.resume()
    }

    private func next() async -> ([CommitItem], [Completion])? {
        while true {
            let (group, isClosed) = state.withLock { state -> (([CommitItem], [Completion])?, Bool) in
                guard !state.items.isEmpty else { return (nil, state.isClosed) }
                let count = min(state.items.count, Self.groupLimit)
                let group = (Array(state.items.prefix(count)), Array(state.completions.prefix(count)))
                state.items.removeFirst(count)
                state.completions.removeFirst(count)
                return (group, false)
            }
            if let group { return group }
            if isClosed { return nil }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.items.isEmpty || state.isClosed { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    private func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] {
        var failures = 0
        while true {
            do {
                let results = try await store.commit(items)
                if failures > 0 { logger.notice("the store commits again", metadata: ["attempts": "\(failures + 1)"]) }
                return results
            } catch {
                switch error {
                case .unavailable, .outcomeUnknown:
                    guard state.withLock({ $0.mayRetry }) else { throw error }
                    failures += 1
                    logger.error(
                        "the store cannot commit; runs wait until it can",
                        metadata: ["error": "\(error)", "items": "\(items.count)"])
                    await pause(for: min(.seconds(1), .milliseconds(10 << min(failures, 7))))
                case .corrupt, .unsupported, .unusable, .closed:
                    throw error
                }
            }
        }
    }

    private func failRest() {
        let completions = state.withLock { state in
            state.isClosed = true
            state.items = []
            defer { state.completions = [] }
            return state.completions
        }
        for completion in completions { completion(nil) }
    }
}
