import PerdureStore
import Synchronization

/// Commits of callers that come at the same time, several in one transaction: what comes while one is under way goes into the next, as in
/// the journal of an engine that runs. A caller that is alone waits for nobody.
final class CommitGroups: Sendable {
    private enum Turn: Sendable {
        /// The caller commits what waits, beside its own.
        case lead
        case done(Result<CommitResult, StoreError>)
    }

    private struct Waiting: Sendable {
        let item: CommitItem
        let turn: CheckedContinuation<Turn, Never>
    }

    private struct State {
        var isBusy = false
        var waiting: [Waiting] = []
    }

    private static let most = 512
    private let state = Mutex(State())
    private let store: any Store

    init(_ store: any Store) { self.store = store }

    /// How many wait for the commit that is under way.
    var waiting: Int { state.withLock { $0.waiting.count } }

    /// - Throws: `StoreError`, which is that of the whole group: each of its callers asks again, and whatever is durable answers as it did.
    func commit(_ item: CommitItem) async throws(StoreError) -> CommitResult {
        let turn = await withCheckedContinuation { turn in
            let isFirst = state.withLock { state in
                if state.isBusy { state.waiting.append(Waiting(item: item, turn: turn)) }
                defer { state.isBusy = true }
                return !state.isBusy
            }
            if isFirst { turn.resume(returning: .lead) }
        }
        switch turn {
        case .lead: return try await lead(item)
        case .done(let result): return try result.get()
        }
    }

    private func lead(_ item: CommitItem) async throws(StoreError) -> CommitResult {
        let others = state.withLock { state in
            defer { state.waiting.removeFirst(min(Self.most, state.waiting.count)) }
            return Array(state.waiting.prefix(Self.most))
        }
        let answer: Result<[CommitResult], StoreError>
        do throws(StoreError) {
            answer = .success(try await store.commit([item] + others.map(\.item)))
        } catch {
            answer = .failure(error)
        }
        // Whoever has waited longest leads the next ones. None of these is asked to wait for them.
        let next = state.withLock { state in
            if state.waiting.isEmpty { state.isBusy = false }
            return state.waiting.isEmpty ? nil : state.waiting.removeFirst()
        }
        next?.turn.resume(returning: .lead)
        for (number, other) in others.enumerated() { other.turn.resume(returning: .done(Self.result(number + 1, in: answer))) }
        return try Self.result(0, in: answer).get()
    }

    private static func result(
        _ number: Int, in answer: Result<[CommitResult], StoreError>
    ) -> Result<CommitResult, StoreError> {
        switch answer {
        case .failure(let error): .failure(error)
        case .success(let results) where number < results.count: .success(results[number])
        case .success: .failure(.outcomeUnknown("the store gave no answer"))
        }
    }
}
