import Perdure
import PerdureHistory
import PerdureStore

// What is to be said of a run's place in a queue.
extension RunExplanation {
    mutating func addPlace(_ position: QueuePosition) {
        add("It has a place in queue '\(position.queue.name)'\(Self.key(position)), which it keeps until it ends.")
    }

    mutating func addWait(_ position: QueuePosition, in queue: QueueStanding) {
        let name = queue.queue.name
        let behind = position.ahead.map { ahead in
            switch ahead {
            case 0: ", the first of its key"
            case QueuePosition.most...: ", behind \(ahead) others of its key or more"
            default: ", behind \(ahead) other\(ahead == 1 ? "" : "s") of its key"
            }
        }
        add(
            position.ahead == nil
                ? "Its place in the line of queue '\(name)'\(Self.key(position)) is kept, but it does not stand in it now."
                : "It waits in queue '\(name)'\(Self.key(position)) with priority \(position.priority)\(behind ?? "").")
        if queue.waitingKeys > 1 { add("\(queue.waitingKeys) keys take turns there, with \(queue.waiting) runs.") }
        guard queue.limits.concurrency > 0 else {
            add("The queue is closed: it admits nobody.")
            return move(["queues", "set", name, "--concurrency", "N"], "to open it")
        }
        add("\(queue.held) of \(queue.limits.concurrency) places are taken\(Self.holders(queue)).")
        if let perKey = queue.limits.perKey { add("Of one key it admits \(perKey) at once.") }
        if let rate = queue.limits.rate { add("It admits \(rate.count) in \(ReadableTime.span(rate.period)) at most.") }
        let stuck = queue.holders.keys.filter { $0 == .parked || $0 == .paused || $0 == .blocked }
        for state in RunState.allCases where stuck.contains(state) {
            move(["list", "--state", state.rawValue], "to see runs that keep their places until somebody acts")
        }
        move(["queues"], "to see the queues")
    }

    private static func key(_ position: QueuePosition) -> String { position.key.isEmpty ? "" : " under key '\(position.key)'" }

    private static func holders(_ queue: QueueStanding) -> String {
        let parts = RunState.allCases.compactMap { state in queue.holders[state].map { "\($0) \(state.rawValue)" } }
        return parts.isEmpty ? "" : ": \(parts.joined(separator: ", "))"
    }
}
