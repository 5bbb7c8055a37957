import Foundation
package import Logging
import PerdureHistory
package import PerdureStore
import Synchronization

/// The one place through which everything becomes durable. Whatever has gathered while a commit was in flight goes into the next
/// one: no timer, and the busier the engine, the larger the groups.
///
/// It writes on a thread of its own, which waits for the disk; nothing hops between executors on the way. An engine thread that would
/// have nothing to do otherwise writes itself (`help`).
///
/// A store that cannot commit now stops what waits, and nothing else: the same items are offered again, in the same order, until it
/// can. A commit whose outcome is unknown is settled by repeating it; the store recognises what it has already.
package final class Journal: Sendable {
    package typealias Completion = @Sendable (CommitResult?) -> Void

    /// Items that share a transaction.
    private struct Group {
        var items: [CommitItem] = []
        var completions: [Completion] = []
        /// Why it could not be committed by a thread that does not wait until it can.
        var failure: StoreError?
    }

    private struct State {
        var waiting = Group()
        /// Comes before everything that waits.
        var held: Group?
        /// Somebody is committing, or has a group in hand. One at a time, so that the order stays.
        var isCommitting = false
        var isWriterAsleep = false
        /// How many items the last group had: tells how busy the engine is.
        var lastCount = 0
        var isClosed = false
        var mayRetry = true
        var hasBegun = false
        /// The number of the pause that the writer makes before the store is asked again.
        var paused: Int?
        var pauses = 0

        var isEmpty: Bool { waiting.items.isEmpty && held == nil }

        mutating func take() -> Group? {
            guard !isCommitting, !isEmpty else { return nil }
            isCommitting = true
            if let held = held.take() { return held }
            lastCount = min(waiting.items.count, Journal.groupLimit)
            guard waiting.items.count > Journal.groupLimit else {
                defer { waiting = Group() }
                return waiting
            }
            var group = Group()
            group.items = Array(waiting.items.prefix(Journal.groupLimit))
            group.completions = Array(waiting.completions.prefix(Journal.groupLimit))
            waiting.items.removeFirst(Journal.groupLimit)
            waiting.completions.removeFirst(Journal.groupLimit)
            return group
        }

        /// Whether the writer has to be woken, which it is then as far as this knows.
        mutating func wakesWriter() -> Bool {
            guard isWriterAsleep, !isCommitting, !isEmpty || isClosed else { return false }
            isWriterAsleep = false
            return true
        }
    }

    private let store: any Store
    private let logger: Logger
    private let state = Mutex(State())
    private let writerMayWork = DispatchSemaphore(value: 0)
    private let pauseIsOver = DispatchSemaphore(value: 0)
    private let after: @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    /// The most items that share a transaction.
    private static let groupLimit = 2_000
    /// Groups of at most so many items are committed by engine threads that have nothing else to do.
    private static let fewItems = 4

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
    ///
    /// - Parameter wakesWriter: False for a caller that will call `nudge` or `help` on this thread in a moment.
    package func submit(_ item: CommitItem, wakesWriter: Bool = true, completion: @escaping Completion) {
        let (wakes, isClosed) = state.withLock { state in
            if state.isClosed { return (false, true) }
            state.waiting.items.append(item)
            state.waiting.completions.append(completion)
            return (wakesWriter && state.wakesWriter(), false)
        }
        if isClosed { completion(nil) }
        if wakes { writerMayWork.signal() }
    }

    /// The same, awaited.
    package func submit(_ item: CommitItem) async -> CommitResult? {
        await withCheckedContinuation { continuation in submit(item) { continuation.resume(returning: $0) } }
    }

    /// Has the writer look for what was handed over without waking it.
    package func nudge() {
        if state.withLock({ $0.wakesWriter() }) { writerMayWork.signal() }
    }

    /// Commits what waits on this thread, unless somebody is committing already. Blocks it for one commit; a store that cannot commit
    /// now is left to the writer, and so is everything while many commit together: waking it takes time in which more gathers.
    package func help() {
        let group = state.withLock { state in
            state.hasBegun && !state.isClosed && state.lastCount <= Self.fewItems ? state.take() : nil
        }
        guard var group else { return nudge() }
        do throws(StoreError) {
            let results = try store.commitHere(group.items)
            letGo(nil)
            for (completion, result) in zip(group.completions, results) { completion(result) }
        } catch {
            group.failure = error
            letGo(group)
        }
    }

    private func letGo(_ group: Group?) {
        let wakes = state.withLock { state in
            state.isCommitting = false
            state.held = group
            return state.wakesWriter()
        }
        if wakes { writerMayWork.signal() }
    }

    /// Writes until it is closed; then writes what is left and returns. Fails what waits, and throws, if the store is corrupt or
    /// closed, or if it cannot commit after `stopRetrying`.
    package func run() async throws(StoreError) {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Void, StoreError>, Never>) in
            let thread = Thread { [self] in
                continuation.resume(returning: Result { () throws(StoreError) in try write() })
            }
            thread.start()
            thread.name = "perdure-journal"
        }
        try result.get()
    }

    private func write() throws(StoreError) {
        while let group = next() {
            do throws(StoreError) {
                let results = try commit(group)
                letGo(nil)
                for (completion, result) in zip(group.completions, results) { completion(result) }
            } catch {
                for completion in group.completions { completion(nil) }
                failRest()
                throw error
            }
        }
    }

    package func close() {
        let wakes = state.withLock { state in
            state.isClosed = true
            return state.wakesWriter()
        }
        if wakes { writerMayWork.signal() }
    }

    private func next() -> Group? {
        while true {
            let (group, isOver) = state.withLock { state -> (Group?, Bool) in
                if let group = state.take() { return (group, false) }
                // Whoever is committing may leave its group to the writer.
                if state.isClosed, state.isEmpty, !state.isCommitting { return (nil, true) }
                state.isWriterAsleep = true
                return (nil, false)
            }
            if group != nil || isOver { return group }
            writerMayWork.wait()
        }
    }

    // MARK: A store that cannot commit

    private func commit(_ group: Group) throws(StoreError) -> [CommitResult] {
        var failure = group.failure, failures = 0
        while true {
            if let failure {
                failures += 1
                try bear(failure, failures, items: group.items.count)
            }
            do {
                let results = try store.commitHere(group.items)
                if failures > 0 { logger.notice("the store commits again", metadata: ["attempts": "\(failures + 1)"]) }
                return results
            } catch {
                failure = error
            }
        }
    }

    /// Pauses after an error that may pass; throws every other one.
    private func bear(_ error: StoreError, _ failures: Int, items: Int) throws(StoreError) {
        switch error {
        case .unavailable, .outcomeUnknown:
            guard state.withLock({ $0.mayRetry }) else { throw error }
            logger.error(
                "the store cannot commit; runs wait until it can", metadata: ["error": "\(error)", "items": "\(items)"])
            pause(for: min(.seconds(1), .milliseconds(10 << min(failures, 7))))
        case .corrupt, .unsupported, .unusable, .closed:
            throw error
        }
    }

    /// From now on a store that cannot commit counts as one that has failed for good. It is asked once more, at once.
    package func stopRetrying() {
        state.withLock { $0.mayRetry = false }
        endPause()
    }

    private func pause(for duration: Duration) {
        let number = state.withLock { state -> Int? in
            guard state.mayRetry else { return nil }
            state.pauses += 1
            state.paused = state.pauses
            return state.pauses
        }
        guard let number else { return }
        after(duration) { [self] in endPause(number) }
        pauseIsOver.wait()
    }

    /// Ends the pause of this number, or whichever there is.
    private func endPause(_ number: Int? = nil) {
        let isPaused = state.withLock { state in
            guard let paused = state.paused, number == nil || number == paused else { return false }
            state.paused = nil
            return true
        }
        if isPaused { pauseIsOver.signal() }
    }

    private func failRest() {
        let completions = state.withLock { state in
            state.isClosed = true
            defer {
                state.waiting = Group()
                state.isCommitting = false
            }
            return state.waiting.completions
        }
        for completion in completions { completion(nil) }
    }
}
