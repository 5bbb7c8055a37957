import Perdure
import PerdurePostgres

/// What a soak runs: one workflow for each way in which runs use a store.
enum SoakWorkflows {
    static let owner = "perdure"
    static let version: WorkflowVersion = "1"
}

/// Ten steps, one after the other.
struct SoakSteps: Workflow {
    static let name = "soak-steps"
    static let version = SoakWorkflows.version
    static let owner = SoakWorkflows.owner

    func run(_ number: Int, _ context: WorkflowContext) async throws -> Int {
        var sum = 0
        for place in 0..<10 {
            sum += try await context.step(
                "add", id: "\(place)", input: number, .idempotent(retention: .forever), irreversible: "a sum is no effect"
            ) { number, _ in number + 1 }
        }
        return sum
    }
}

/// A timer.
struct SoakSleep: Workflow {
    static let name = "soak-sleep"
    static let version = SoakWorkflows.version
    static let owner = SoakWorkflows.owner

    func run(_ seconds: Int, _ context: WorkflowContext) async throws -> Int {
        try await context.sleep(for: .seconds(seconds))
        return try await context.read("awake", input: seconds) { seconds, _ in seconds }
    }
}

/// A message from outside.
struct SoakMessage: Workflow {
    static let name = "soak-message"
    static let version = SoakWorkflows.version
    static let owner = SoakWorkflows.owner

    enum Word: Signal {
        static let name = "word"
        typealias Payload = Int
    }

    func run(_ number: Int, _ context: WorkflowContext) async throws -> Int { try await context.signal(Word.self) + number }
}

/// Three children at once.
struct SoakFamily: Workflow {
    static let name = "soak-family"
    static let version = SoakWorkflows.version
    static let owner = SoakWorkflows.owner

    func run(_ number: Int, _ context: WorkflowContext) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for child in 0..<3 {
                group.addTask {
                    try await context.child(SoakSleep.self, id: "\(child)", input: child, irreversible: "a wait is no effect")
                }
            }
            return try await group.reduce(0, +)
        }
    }
}

/// A row of the same database, in the transaction of its step.
struct SoakBooking: Workflow {
    static let name = "soak-booking"
    static let version = SoakWorkflows.version
    static let owner = SoakWorkflows.owner
    static let table = "CREATE TABLE soak_bookings (seat bigint PRIMARY KEY, count bigint NOT NULL) WITH (fillfactor = 50)"
    /// Of seats there are so many, so that the table does not grow.
    private static let seats = 1_000

    func run(_ number: Int, _ context: WorkflowContext) async throws -> Nothing {
        try await context.act(
            "book", input: number % Self.seats, .transactional(in: .postgres), irreversible: "seats are only counted"
        ) { seat, database in
            try database.execute(
                "INSERT INTO soak_bookings VALUES ($1, 1) ON CONFLICT (seat) DO UPDATE SET count = soak_bookings.count + 1", seat)
        }
        return Nothing()
    }
}

/// A value that is larger than what stands in a row.
struct SoakValue: Workflow {
    static let name = "soak-value"
    static let version = SoakWorkflows.version
    static let owner = SoakWorkflows.owner
    private static let size = 100_000

    func run(_ number: Int, _ context: WorkflowContext) async throws -> Int {
        try await context.read("value", input: number) { number, _ in
            String(repeating: "\(number % 10)", count: Self.size)
        }.utf8.count
    }
}

/// A loop that goes on as a fresh run every few seconds, for as long as the soak takes.
struct SoakLoop: Workflow {
    static let name = "soak-loop"
    static let version = SoakWorkflows.version
    static let owner = SoakWorkflows.owner

    func run(_ turn: Int, _ context: WorkflowContext) async throws -> Nothing {
        try await context.sleep(for: .seconds(10))
        try await context.continueAsNew(SoakLoop.self, input: turn + 1)
    }
}
