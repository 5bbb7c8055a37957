import Foundation
import Perdure

// The clocks that these workflows read and the counters that they raise are the measurement's, not the workflow's: what is recorded
// does not depend on them.

/// Trivial steps, one after the other.
struct Sequence: Workflow {
    static let name = "bench-sequence"
    static let version: WorkflowVersion = "1"

    struct Input: Codable, Sendable {
        var run: Int
        var steps: Int
        /// The size of a step's recorded value in bytes.
        var bytes: Int
    }

    let recorder: Recorder

    func run(_ input: Input, _ context: WorkflowContext) async throws -> Int {
        var last = recorder.timesSteps ? Usage.now.time : 0
        let value = Value.text(input.bytes)
        for index in 0..<input.steps {
            try await context.step("work", input: index, .idempotent(retention: .forever), irreversible: "nothing to take back") {
                [recorder] index, _ in
                recorder.body(input.run, index)
                return value
            }
            guard recorder.timesSteps else { continue }
            let now = Usage.now.time
            recorder.took(now - last)
            last = now
        }
        recorder.onProgress(input.run, nil)
        return input.steps
    }
}

/// Trivial steps, all at once.
struct Fan: Workflow {
    static let name = "bench-fan"
    static let version: WorkflowVersion = "1"

    let recorder: Recorder

    func run(_ input: Sequence.Input, _ context: WorkflowContext) async throws -> Int {
        let value = Value.text(input.bytes)
        try await withThrowingTaskGroup { group in
            for index in 0..<input.steps {
                group.addTask { [recorder] in
                    try await context.step(
                        "work", id: String(index), input: index, .idempotent(retention: .forever),
                        irreversible: "nothing to take back"
                    ) { index, _ in
                        recorder.body(input.run, index)
                        return value
                    }
                }
            }
            for try await _ in group {}
        }
        return input.steps
    }
}

/// Waits for a message.
struct Waiter: Workflow {
    static let name = "bench-waiter"
    static let version: WorkflowVersion = "1"

    struct Go: Signal {
        typealias Payload = Int
        static let name = "go"
    }

    func run(_ input: String, _ context: WorkflowContext) async throws -> Int { try await context.signal(Go.self) }
}

/// Sleeps until a moment.
struct Sleeper: Workflow {
    static let name = "bench-sleeper"
    static let version: WorkflowVersion = "1"

    struct Input: Codable, Sendable {
        var run: Int
        /// Milliseconds since 1970.
        var until: Int64
    }

    let recorder: Recorder

    func run(_ input: Input, _ context: WorkflowContext) async throws -> Int {
        let until = Date(timeIntervalSince1970: Double(input.until) / 1e3)
        try await context.sleep(for: .milliseconds(Int64(until.timeIntervalSince(context.now) * 1e3)))
        recorder.wentOn(input.run)
        return input.run
    }
}

enum Value {
    private static let small = make(64), large = make(1_024)

    /// A text that is recorded in so many bytes, its quotes among them.
    static func text(_ bytes: Int) -> String { bytes == 64 ? small : bytes == 1_024 ? large : make(bytes) }

    private static func make(_ bytes: Int) -> String { String(repeating: "x", count: max(0, bytes - 2)) }
}
