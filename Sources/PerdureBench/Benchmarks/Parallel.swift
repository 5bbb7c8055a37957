/// c: one run that asks for 1,000 steps at once.
struct Parallel {
    let settings: BenchSettings

    func measure() async throws -> [Measurement] {
        var all: [Measurement] = []
        for bytes in [64, 1_024] {
            let steps = settings.scaled(1_000, quick: 30)
            let template = try await settings.template(Fan.self) { engine in
                let runs = try await engine.start(Fan.self, 1) { Sequence.Input(run: $0, steps: steps, bytes: bytes) }
                try await engine.finish(runs)
            }
            var engine: [Usage] = [], hand: [Usage] = []
            for _ in 0..<settings.rounds {
                let usage = try await byEngine(steps: steps, bytes: bytes)
                engine.append(usage)
                hand.append(try await byHand(steps: steps, template, commits: usage.commits))
            }
            all.append(
                Measurement(
                    .c, "steps/s, \(steps) parallel steps, \(bytes) B", engine.map { Double(steps) / $0.time }.median, "steps/s",
                    handwritten: hand.map { Double(steps) / $0.time }.median, cpu: engine.map { $0.cpu * 1e3 }.median,
                    syncs: engine.map { Double($0.syncs) }.median, runs: settings.rounds,
                    budgets: bytes == 64 ? [.atLeast(10_000)] : []))
        }
        return all
    }

    private func byEngine(steps: Int, bytes: Int) async throws -> Usage {
        try await settings.withPlace("c") { place in
            let recorder = Recorder()
            let usage = try await BenchEngine.with(place, recorder) { engine in
                try await place.meter().usage {
                    try await engine.start(Fan.self, 1) { Sequence.Input(run: $0, steps: steps, bytes: bytes) }
                    try await engine.wait(for: 1, in: "completed")
                }.usage
            }
            try place.work().check(Fan.name, runs: 1, steps: steps, executed: recorder.executed)
            return usage
        }
    }

    private func byHand(steps: Int, _ template: RunTemplate, commits: Int) async throws -> Usage {
        try await settings.withPlace("c-hand") { place in
            let hand = try place.handWritten(template)
            return try await place.meter().usage { try hand.fan(steps: steps, group: steps / max(1, commits - 2)) }.usage
        }
    }
}
