import Foundation

/// f: an engine with 1,000 runs in flight is killed and started again. When have all of them gone on, and was anything repeated whose
/// completion had been recorded?
struct Killed {
    let settings: BenchSettings
    private static let steps = 10

    private struct Round {
        var seconds: Double
        var inFlight: Int
        var repeated: Int
        var again: Int
        var usage: [String: Double]
        var handSeconds: Double
    }

    func measure() async throws -> [Measurement] {
        let runs = settings.scaled(1_000, quick: 30)
        let template = try await settings.template(Sequence.self) { engine in
            try await engine.complete(Sequence.Input(run: 0, steps: Self.steps, bytes: 64))
        }
        var rounds: [Round] = []
        for _ in 0..<settings.rounds { rounds.append(try await round(runs, template)) }
        let total = runs * rounds.count
        return [
            Measurement(
                .f,
                "from process start until all \(runs) runs move (\(Int(rounds.map { Double($0.inFlight) }.median)) in flight)",
                rounds.map(\.seconds).median, "s", handwritten: rounds.map(\.handSeconds).median,
                cpu: rounds.map { ($0.usage["cpu_ms"] ?? 0) / Double(runs) }.median,
                syncs: rounds.map { ($0.usage["syncs"] ?? 0) / Double(runs) }.median, runs: total, budgets: [.atMost(1)]),
            Measurement(
                .f, "completed steps that were executed again", Double(rounds.map(\.repeated).reduce(0, +)), "steps", runs: total,
                budgets: [.atMost(0)]),
            Measurement(
                .f, "steps executed again, whose first outcome was not yet durable", rounds.map { Double($0.again) }.mean,
                "steps",
                runs: total),
        ]
    }

    private func round(_ runs: Int, _ template: RunTemplate) async throws -> Round {
        try await settings.withFile("f") { path in
            let before = path + ".before", after = path + ".after", copy = path + ".copy"
            defer {
                for file in [before, after, copy, copy + "-wal", copy + "-shm"] {
                    try? FileManager.default.removeItem(atPath: file)
                }
            }
            try await kill(path, counter: before, runs: runs, steps: Self.steps, at: runs * Self.steps / 2, settings)
            let (completed, inFlight) = try Self.found(path, copy: copy)
            try BenchError.check(inFlight > 0, "every run had ended before the process was killed")
            let child = try Child(settings, WorkerOrder(.resume, path, counter: after, runs: inFlight, steps: Self.steps))
            let moving = try await child.next(.moving)
            let usage = try await child.next(.done)
            await child.stop()
            let executed = CounterFile.lines(before), again = CounterFile.lines(after)
            let repeated = again.count { completed.contains($0) }
            try BenchError.check(repeated == 0, "\(repeated) completed steps were executed again")
            try BenchError.check(Set(executed + again).count == runs * Self.steps, "not every step was executed")
            try Verification.completed(path, Sequence.self, runs: runs, steps: runs * Self.steps)
            return Round(
                seconds: (moving["at"] ?? .infinity) - child.startedAt, inFlight: inFlight, repeated: repeated,
                again: executed.count + again.count - runs * Self.steps, usage: usage,
                handSeconds: try await byHand(inFlight, template))
        }
    }

    /// Reads a copy, so that what the next process finds is what the killed one has left.
    private static func found(_ path: String, copy: String) throws -> (completed: Set<StepPlace>, inFlight: Int) {
        for end in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + end, toPath: copy + end) }
        let file = try PlainDatabase(copy)
        let inFlight = try file.integer("SELECT count(*) FROM runs WHERE closed_at IS NULL")
        var completed: Set<StepPlace> = []
        try file.prepare(
            """
            SELECT json_extract(starts.input, '$.run'), CAST(steps.input AS INTEGER)
            FROM events steps JOIN events starts ON starts.run = steps.run AND starts.seq = 1 WHERE steps.kind = 'step.succeeded'
            """
        ).forEach { row in completed.insert(StepPlace(run: Int(row.integer(at: 0)), step: Int(row.integer(at: 1)))) }
        return (completed, inFlight)
    }

    private func byHand(_ runs: Int, _ template: RunTemplate) async throws -> Double {
        try await settings.withFile("f-hand") { path in
            do {
                let hand = try HandWritten(path, template)
                for seq in 1...(Self.steps / 2 + 1) {
                    try hand.transaction {
                        for run in 1...runs { if seq == 1 { try hand.create(run) } else { try hand.append(run, seq) } }
                    }
                }
            }
            let child = try Child(settings, WorkerOrder(.resumeByHand, path, runs: runs))
            let moving = try await child.next(.moving)
            await child.stop()
            return (moving["at"] ?? .infinity) - child.startedAt
        }
    }
}

/// Starts runs in a process of its own, which is killed once so many bodies have been executed.
func kill(_ path: String, counter: String, runs: Int, steps: Int, at executed: Int, _ settings: BenchSettings) async throws {
    let child = try Child(settings, WorkerOrder(.crash, path, counter: counter, runs: runs, steps: steps))
    let deadline = Usage.now.time + 600
    while CounterFile.count(counter) < executed, Usage.now.time < deadline { try await Task.sleep(for: .microseconds(200)) }
    await child.kill()
    try BenchError.check(CounterFile.count(counter) >= executed, "the process to be killed did not get that far")
}
