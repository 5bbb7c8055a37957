internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// `queues`: in which runs wait for their turn.
struct QueuesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queues", abstract: "Lists queues, and makes them or changes their limits.",
        subcommands: [QueueListCommand.self, QueueSetCommand.self], defaultSubcommand: QueueListCommand.self)
}

/// `queues list`.
struct QueueListCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists queues by name: their limits, how many places are taken and how many runs wait.",
        discussion: """
            A run keeps its place from its admission to its end. RUNNING are places of runs that are under way, or that the next engine \
            takes on; where nobody hosts their version they stay READY. WAITING are those of runs that wait for time, a message or a \
            person; STUCK those of runs that only a person or other code can move on: parked, paused, blocked.

            Examples:
              queues
              queues list --namespace default --json

            With --json: an array of objects with queue, namespace, concurrency, per_key, rate (count, period_seconds, burst), held,
            holders (places by the state of their runs), waiting (runs in the line), waiting_keys, closed, changed_by, changed_at.
            """)

    @OptionGroup var store: StoreOptions
    @Flag(help: "Print JSON.") var json = false

    func run(in environment: CommandEnvironment) async throws {
        let queues = try await store.withClient(environment) { try await $0.queues() }
        if json {
            environment.print(json: .array(queues.map(QueueText.json)))
        } else {
            environment.print(QueueText.table(queues, style: environment.style))
        }
    }
}

/// `queues set`.
struct QueueSetCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Makes a queue, or changes its limits.",
        discussion: """
            All limits are as they are given here: one that is left out is none. Where they are lowered no run ends, and fewer are \
            admitted. A queue with --concurrency 0 admits nobody; what has a place goes on. A queue is never removed.

            Examples:
              queues set mails --concurrency 20 --per-key 2
              queues set imports --concurrency 4 --rate 10/m --burst 2
              queues set imports --concurrency 0

            With --json: the queue as 'queues list' has it.
            """)

    @OptionGroup var store: StoreOptions
    @Argument(help: "The queue's name.") var name: String
    @Option(help: "How many runs may have places at once; 0 closes the queue.") var concurrency: Int
    @Option(help: ArgumentHelp("How many of one key.", valueName: "n")) var perKey: Int?
    @Option(help: ArgumentHelp("How many are admitted in a time: 10/s, 5/m, 100/15m.", valueName: "n/duration"))
    var rate: RateArgument?
    @Option(help: ArgumentHelp("How many of these at once after a quiet time. Default: 1.", valueName: "n")) var burst: Int?
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func validate() throws {
        guard concurrency >= 0 else { throw ValidationError("--concurrency cannot be negative; 0 closes the queue.") }
        if let perKey, perKey < 1 { throw ValidationError("--per-key has to be at least 1; --concurrency 0 closes the queue.") }
        if burst != nil, rate == nil { throw ValidationError("--burst goes with --rate.") }
        if let burst, !(1...100_000).contains(burst) { throw ValidationError("--burst has to be from 1 to 100000.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let limits = QueueLimits(
            concurrency: concurrency, perKey: perKey,
            rate: rate.map { Rate($0.count, per: $0.period, burst: burst ?? 1) })
        let sender = try actor.principal(environment)
        let queue = try await store.withClient(environment) { client in
            try await client.setQueue(name, limits: limits, by: sender)
            return try await client.queues(in: client.namespace ?? "default").first { $0.name == name }
        }
        if json {
            environment.print(json: queue.map(QueueText.json) ?? .null)
        } else {
            environment.print("Queue \(name) admits \(QueueText.limits(limits)).")
        }
    }
}
