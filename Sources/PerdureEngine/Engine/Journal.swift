import Foundation
package import Logging
import PerdureHistory
package import PerdureStore
import Synchronization

/// The one place through which everything becomes durable. Whatever has gathered while a commit was in flight goes into the next
/// one: no timer, and the busier the engine, the larger the groups.
///
/// It writes on a thread of its own, which waits for the disk; nothing hops between executors on the way. An engine thread that would
/// have nothing to do otherwise writes itself (`help`). Where there are no threads a task writes, by the same rules.
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
        /// Why nothing more can be committed, as somebody else has found out.
        var lost: StoreError?
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

        var isEmpty: Bool { waiting.items.isEmpty && held == nil && lost == nil }

        mutating func take() -> Group? {
            guard !isCommitting, !isEmpty else { return nil }
            isCommitting = true
            if let lost = lost.take() { return Group(failure: lost) }
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
    private let runtime: EngineRuntime
    private let writerMayWork: Wake
    private let pauseIsOver: Wake
    private let after: @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    /// The most items that share a transaction.
    private static let groupLimit = 2_000
    /// Groups of at most so many items are committed by engine threads that have nothing else to do.
    private static let fewItems = 4

    /// - Parameter after: Calls an action when so much time has passed.
    package init(
        store: any Store, logger: Logger, runtime: EngineRuntime = .threads,
        after: @escaping @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    ) {
        self.store = store
        self.logger = logger
        self.runtime = runtime
        writerMayWork = Wake(runtime)
        pauseIsOver = Wake(runtime)
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
            state.hasBegun && !state.isClosed && state.lost == nil && state.lastCount <= Self.fewItems ? state.take() : nil
        }
        guard var group else { return nudge() }
        do throws(StoreError) {
            answer(group, try store.commitHere(group.items))
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
        guard runtime.hasThreads else { return try await writeAsTask() }
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
                answer(group, try commit(group))
            } catch {
                fail(group)
                throw error
            }
        }
    }

    /// The same without a thread that could be held up.
    private func writeAsTask() async throws(StoreError) {
        while let group = await nextForTask() {
            do throws(StoreError) {
                answer(group, try await commitAsTask(group))
            } catch {
                fail(group)
                throw error
            }
        }
    }

    private func answer(_ group: Group, _ results: [CommitResult]) {
        letGo(nil)
        for (completion, result) in zip(group.completions, results) { completion(result) }
    }

    private func fail(_ group: Group) {
        for completion in group.completions { completion(nil) }
        failRest()
    }

    /// Ends as after a commit that has failed for good: for whoever meets such an error at the store without it.
    package func fail(_ error: StoreError) {
        let wakes = state.withLock { state in
            guard !state.isClosed else { return false }
            state.lost = error
            return state.wakesWriter()
        }
        if wakes { writerMayWork.signal() }
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
            let (group, isOver) = takeOrSleep()
            if group != nil || isOver { return group }
            writerMayWork.wait()
        }
    }

    private func nextForTask() async -> Group? {
        while true {
            let (group, isOver) = takeOrSleep()
            if group != nil || isOver { return group }
            await writerMayWork.awaited()
        }
    }

    private func takeOrSleep() -> (Group?, isOver: Bool) {
        state.withLock { state in
            if let group = state.take() { return (group, false) }
            // Whoever is committing may leave its group to the writer.
            if state.isClosed, state.isEmpty, !state.isCommitting { return (nil, true) }
            state.isWriterAsleep = true
            return (nil, false)
        }
    }

    // MARK: A store that cannot commit

    private func commit(_ group: Group) throws(StoreError) -> [CommitResult] {
        var failure = group.failure, failures = 0, awaited: [NodeID] = []
        while true {
            if let failure {
                failures += 1
                let pause = try patience(with: failure, failures, items: group.items.count, &awaited)
                if beginPause(for: pause) { pauseIsOver.wait() }
            }
            do {
                let results = try store.commitHere(group.items)
                if failures > 0 { tellOfSuccess(after: failures) }
                return results
            } catch {
                failure = error
            }
        }
    }

    private func commitAsTask(_ group: Group) async throws(StoreError) -> [CommitResult] {
        var failure = group.failure, failures = 0, awaited: [NodeID] = []
        while true {
            if let failure {
                failures += 1
                let pause = try patience(with: failure, failures, items: group.items.count, &awaited)
                if beginPause(for: pause) { await pauseIsOver.awaited() }
            }
            do {
                let results = try await store.commit(group.items)
                if failures > 0 { tellOfSuccess(after: failures) }
                return results
            } catch {
                failure = error
            }
        }
    }

    private func tellOfSuccess(after failures: Int) {
        logger.notice("the store commits again", metadata: ["attempts": "\(failures + 1)"])
    }

    /// How long to pause after an error that may pass; throws every other one.
    ///
    /// - Parameter awaited: The nodes of which it was said that they are waited for.
    private func patience(
        with error: StoreError, _ failures: Int, items: Int, _ awaited: inout [NodeID]
    ) throws(StoreError) -> Duration {
        let pause = min(Duration.seconds(1), .milliseconds(10 << min(failures, 7)))
        switch error {
        case .awaitsNodes(let nodes):
            guard state.withLock({ $0.mayRetry }) else { throw error }
            if nodes != awaited { AwaitedNodes.tell(nodes, logger) }
            awaited = nodes
            return pause
        case .unavailable, .outcomeUnknown:
            guard state.withLock({ $0.mayRetry }) else { throw error }
            logger.error(
                "the store cannot commit; runs wait until it can", metadata: ["error": "\(error)", "items": "\(items)"])
            return pause
        case .corrupt, .unsupported, .unusable, .leaseLost, .closed:
            throw error
        }
    }

    /// From now on a store that cannot commit counts as one that has failed for good. It is asked once more, at once.
    package func stopRetrying() {
        state.withLock { $0.mayRetry = false }
        endPause()
    }

    /// Returns whether there is a pause to wait for.
    private func beginPause(for duration: Duration) -> Bool {
        let number = state.withLock { state -> Int? in
            guard state.mayRetry else { return nil }
            state.pauses += 1
            state.paused = state.pauses
            return state.pauses
        }
        guard let number else { return false }
        after(duration) { [self] in endPause(number) }
        return true
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
                (state.held, state.waiting) = (nil, Group())
                state.isCommitting = false
            }
            return (state.held?.completions ?? []) + state.waiting.completions
        }
        for completion in completions { completion(nil) }
    }
}

/// Nodes that have to look at the server before anything goes on: not a trouble, and over soon.
enum AwaitedNodes {
    static func tell(_ nodes: [NodeID], _ logger: Logger) {
        logger.notice(
            "the server has started or changed; runs go on when these nodes have looked at it, or have ended",
            metadata: ["nodes": "\(nodes.map(\.description).joined(separator: ", "))"])
    }
}
