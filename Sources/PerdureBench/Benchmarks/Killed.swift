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
                syncs: settings.kind == .sqlite ? rounds.map { ($0.usage["syncs"] ?? 0) / Double(runs) }.median : nil,
                runs: total,
                // Where nothing but its lease tells that a process is dead, that has to pass first.
                budgets: [.atMost(settings.kind.hasLocks ? 1 : BenchKind.lease + 1)]),
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
        try await settings.withPlace("f") { place in
            try await settings.withFolder { folder in try await round(runs, template, place, folder) }
        }
    }

    private func round(_ runs: Int, _ template: RunTemplate, _ place: BenchPlace, _ folder: String) async throws -> Round {
        let before = folder + "/before", after = folder + "/after"
        try await place.crash(counter: before, runs: runs, steps: Self.steps, at: runs * Self.steps / 2, settings)
        let left = try place.leftByTheDead(in: folder)
        let completed = try left.succeededSteps(), inFlight = try left.openRuns()
        try BenchError.check(inFlight > 0, "every run had ended before the process was killed")
        let child = try Child(settings, WorkerOrder(.resume, place, counter: after, runs: inFlight, steps: Self.steps))
        let moving = try await child.next(.moving)
        let usage = try await child.next(.done)
        await child.stop()
        let executed = CounterFile.lines(before), again = CounterFile.lines(after)
        let repeated = again.count { completed.contains($0) }
        try BenchError.check(repeated == 0, "\(repeated) completed steps were executed again")
        try BenchError.check(Set(executed + again).count == runs * Self.steps, "not every step was executed")
        try place.work().check(Sequence.name, runs: runs, steps: runs * Self.steps)
        return Round(
            seconds: (moving["at"] ?? .infinity) - child.startedAt, inFlight: inFlight, repeated: repeated,
            again: executed.count + again.count - runs * Self.steps, usage: usage,
            handSeconds: try await byHand(inFlight, template))
    }

    private func byHand(_ runs: Int, _ template: RunTemplate) async throws -> Double {
        try await settings.withPlace("f-hand") { place in
            do {
                let hand = try place.handWritten(template)
                for seq in 1...(Self.steps / 2 + 1) {
                    try hand.transaction {
                        for run in 1...runs { if seq == 1 { try hand.create(run) } else { try hand.append(run, seq) } }
                    }
                }
            }
            let child = try Child(settings, WorkerOrder(.resumeByHand, place, runs: runs))
            let moving = try await child.next(.moving)
            await child.stop()
            return (moving["at"] ?? .infinity) - child.startedAt
        }
    }
}

extension BenchPlace {
    /// Starts runs in a process of its own, which is killed once so many bodies have been executed, or asked to end.
    func crash(
        counter: String, runs: Int, steps: Int, at executed: Int, isKilled: Bool = true, _ settings: BenchSettings
    ) async throws {
        let child = try Child(settings, WorkerOrder(.crash, self, counter: counter, runs: runs, steps: steps))
        let deadline = Usage.now.time + 600
        while CounterFile.count(counter) < executed, Usage.now.time < deadline { try await Task.sleep(for: .microseconds(200)) }
        if isKilled { await child.kill() } else { await child.stop() }
        try BenchError.check(CounterFile.count(counter) >= executed, "the process to be killed did not get that far")
    }

    /// What a process that was killed has left. Of a file it is a copy that is read, so that the next process finds the original.
    fileprivate func leftByTheDead(in folder: String) throws -> any StoredWork {
        switch self {
        case .file(let path): try SQLiteWork.copy(path, to: folder + "/copy")
        case .database(let url): try PostgresWork(url)
        }
    }
}
