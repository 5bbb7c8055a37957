internal import ArgumentParser
internal import Perdure

/// In which queue a run waits for its turn.
struct QueueOptions: ParsableArguments {
    @Option(help: "Wait for a place in this queue before it begins.") var queue: String?
    @Option(help: "On whose account it waits there: keys take turns.") var queueKey: String?
    @Option(help: "0 to 9, the highest first among those with its key. Default: 5.") var priority: Int?

    func validate() throws {
        if queue == nil, queueKey != nil || priority != nil {
            throw ValidationError("--queue-key and --priority go with --queue.")
        }
        if let priority, !QueuePlace.priorities.contains(priority) { throw ValidationError("--priority has to be from 0 to 9.") }
    }

    var place: QueuePlace? { queue.map { QueuePlace($0, key: queueKey ?? "", priority: priority ?? 5) } }
}

/// A rate on the command line: `10/s`, `100/15m`.
struct RateArgument: ExpressibleByArgument {
    let count: Int
    let period: Duration

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Int(parts[0]), count > 0 else { return nil }
        let period = parts[1].first.map(\.isNumber) == true ? String(parts[1]) : "1\(parts[1])"
        guard let duration = DurationArgument(argument: period)?.duration else { return nil }
        (self.count, self.period) = (count, duration)
    }
}
