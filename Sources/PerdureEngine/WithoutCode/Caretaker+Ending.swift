import Perdure
import PerdureHistory
import PerdureStore

// How a run ends without its code. One that waits in a queue has done nothing that its code would have to take back, so that it need not
// be admitted for its end.
extension Caretaker {
    enum Ending {
        case termination(InboxRow)
        case cancellation(InboxRow)
        /// - Parameter before: The first message that came after it.
        case deadline(Timestamp, before: Int64)

        /// The message that ends it.
        var row: InboxRow? {
            switch self {
            case .termination(let row), .cancellation(let row): row
            case .deadline: nil
            }
        }

        /// Pauses that came before it still count.
        func comesAfter(_ other: InboxRow) -> Bool {
            guard other.delivery.kind == .pause || other.delivery.kind == .unpause else { return false }
            return switch self {
            case .termination: false
            case .cancellation(let row): other.number < row.number
            case .deadline(_, let next): other.number < next
            }
        }
    }

    /// What the run ends with, if it does: a termination before everything else, otherwise what came first. While it is paused nothing but
    /// a termination counts.
    func ending(by rows: [InboxRow]) -> Ending? {
        if isAfterEnd { return nil }
        if let row = rows.first(where: { $0.delivery.kind == .terminate }) { return .termination(row) }
        guard isUnadmitted else { return nil }
        var isPaused = view.isPaused
        let deadline = view.deadline
        for row in rows {
            if !isPaused, let deadline, deadline <= row.at { return .deadline(deadline, before: row.number) }
            switch row.delivery.kind {
            case .pause: isPaused = true
            case .unpause: isPaused = false
            case .cancel: if !isPaused { return .cancellation(row) }
            default: break
            }
        }
        guard !isPaused, let deadline, deadline <= now else { return nil }
        return .deadline(deadline, before: .max)
    }

    mutating func end(_ ending: Ending) {
        switch ending {
        case .termination(let row): terminate(row)
        case .cancellation(let row):
            record(EventDraft(.runCancelRequested, attributes: row.attributes()))
            close(with: EventDraft(.runCancelled), .cancelled)
        case .deadline(let deadline, _):
            record(.deadlinePassed(deadline))
            close(with: .runFailed(.passedDeadline), .failed)
        }
    }
}
