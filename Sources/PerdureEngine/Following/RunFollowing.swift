import Perdure
import PerdureHistory
import PerdureStore

/// Tells a consumer what befell one run since its mark.
struct RunFollowing: Sendable {
    /// What became of it.
    enum Outcome: Sendable {
        /// All that was there is told.
        case told
        /// The run is over, and everything is told.
        case ended
        /// The run is gone, or its history is. Some of it was not told.
        case lost(String)
        /// Its history cannot be read now.
        case unreadable(String)
        /// The consumer has thrown.
        case refused(String)
    }

    private static let pageSize = 500

    let client: Client
    let tell: HistoryFollower.Consumer
    let number: Int64
    /// The last event that there was at the last look.
    let last: Int64?

    private var store: any Store { client.store }

    init(_ number: Int64, upTo last: Int64?, _ client: Client, _ tell: @escaping HistoryFollower.Consumer) {
        self.number = number
        self.last = last
        self.client = client
        self.tell = tell
    }

    /// - Parameter mark: Moves on with each page that is told.
    /// - Throws: If the store cannot be asked at all.
    func go(from mark: inout FollowerMark) async throws(StoreError) -> Outcome {
        do throws(StoreError) {
            return try await read(from: &mark)
        } catch {
            switch error {
            case .corrupt(let message), .unsupported(let message): return .unreadable(message)
            case .unavailable, .awaitsNodes, .outcomeUnknown, .unusable, .leaseLost, .closed: throw error
            }
        }
    }

    private func read(from mark: inout FollowerMark) async throws(StoreError) -> Outcome {
        guard let record = try await store.run(number: number) else { return .lost("the run was removed") }
        if let tombstone = record.tombstone {
            return mark.seq < tombstone.lastSeq ? .lost("its history has expired") : .ended
        }
        if record.state == .quarantined { return .unreadable(record.note ?? "it is quarantined") }
        var place = mark, hasEnd = false
        while true {
            // The last event that was told comes once more: it shows whether this is still the same history.
            var page = try await store.events(of: number, after: max(0, place.seq - 1), limit: Self.pageSize)[...]
            if place.seq > 0 {
                guard let known = page.popFirst(), FollowerMark(known) == place else {
                    place = .beginning
                    continue
                }
            }
            guard let first = page.first, let end = page.last else { break }
            guard first.seq == place.seq + 1 else { throw .corrupt("event \(place.seq + 1) is missing") }
            do {
                try await tell(record, Array(page))
            } catch {
                return .refused("\(error)")
            }
            if page.contains(where: { $0.kind.isFinal }) { hasEnd = true }
            // Written down together: the end of a run is told again as long as it is not known whether anything can follow.
            if hasEnd, try await !isOver(record, upTo: end) { hasEnd = false }
            place = FollowerMark(end)
            mark = place
            if end.seq >= last ?? .max, !record.state.isFinal { return hasEnd ? .ended : .told }
        }
        if hasEnd { return .ended }
        // As it was before the page that is empty.
        return record.state.isFinal ? try await isOver(record, upTo: nil) ? .ended : .told : .told
    }

    /// Whether nothing follows the end of the run: what is in doubt in one that was terminated is settled later.
    private func isOver(_ record: RunRecord, upTo end: Event?) async throws(StoreError) -> Bool {
        guard end?.kind != .runCompleted, end?.kind != .runFailed, end?.kind != .runCancelled, end?.kind != .runContinued,
            ![.completed, .failed, .cancelled].contains(record.state)
        else { return true }
        var view = RunView(), seq: Int64 = 0
        while true {
            let page = try await store.events(of: number, after: seq, limit: Self.pageSize)
            guard let last = page.last else { break }
            view.add(page)
            seq = last.seq
        }
        return view.stuckSteps.isEmpty && view.unsettledSteps.isEmpty
    }
}
