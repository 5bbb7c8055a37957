/// b and j: 1,000 workflows of ten steps, all started at once.
struct Together {
    let settings: BenchSettings
    private static let steps = 10
    private static let events = 12

    private struct Figures {
        var bytes: Int
        var runs: Int
        var engine: [Usage] = []
        var hand: [Usage] = []

        func cpu(_ of: [Usage]) -> Double { of.map { $0.cpu * 1e3 / Double(runs) }.median }
        func syncs(_ of: [Usage]) -> Double { of.map { Double($0.syncs) / Double(runs) }.median }
        func stepsPerSecond(_ of: [Usage]) -> Double { of.map { Double(runs * Together.steps) / $0.time }.median }
    }

    /// b: steps that become durable in a second, from the first start until the last run has completed.
    func throughput() async throws -> [Measurement] {
        try await figures().flatMap { figures in
            let small = figures.bytes == 64
            return [
                Measurement(
                    .b, "steps/s, \(figures.runs) workflows at once, \(figures.bytes) B", figures.stepsPerSecond(figures.engine),
                    "steps/s", handwritten: figures.stepsPerSecond(figures.hand), cpu: figures.cpu(figures.engine),
                    syncs: figures.syncs(figures.engine), runs: figures.runs * settings.rounds,
                    budgets: small ? throughputBudgets : [])
            ]
        }
    }

    /// j: processor time of one workflow, engine and store together.
    func processorTime() async throws -> [Measurement] {
        try await figures().map { figures in
            Measurement(
                .j, "CPU of a workflow of 10 steps, \(figures.bytes) B", figures.cpu(figures.engine), "ms",
                handwritten: figures.cpu(figures.hand), cpu: figures.cpu(figures.engine), syncs: figures.syncs(figures.engine),
                runs: figures.runs * settings.rounds,
                budgets: figures.bytes == 64 ? [.atMost(settings.kind == .sqlite ? 0.4 : 1)] : [])
        }
    }

    private var throughputBudgets: [Measurement.Budget] {
        settings.kind == .sqlite ? [.atLeast(40_000), .ratioAtLeast(0.15)] : [.atLeast(10_000), .ratioAtLeast(0.08)]
    }

    private func figures() async throws -> [Figures] {
        var all: [Figures] = []
        for bytes in [64, 1_024] {
            var figures = Figures(bytes: bytes, runs: settings.scaled(1_000, quick: 40))
            let template = try await settings.template(Sequence.self) { engine in
                try await engine.complete(Sequence.Input(run: 0, steps: Self.steps, bytes: bytes))
            }
            for _ in 0..<settings.rounds {
                let engine = try await byEngine(figures)
                figures.engine.append(engine)
                figures.hand.append(try await byHand(figures, template, commits: engine.commits))
            }
            all.append(figures)
        }
        return all
    }

    private func byEngine(_ figures: Figures) async throws -> Usage {
        let runs = figures.runs, bytes = figures.bytes
        return try await settings.withPlace("b") { place in
            let recorder = Recorder()
            let usage = try await BenchEngine.with(place, recorder) { engine in
                try await place.meter().usage {
                    try await engine.start(Sequence.self, runs) { Sequence.Input(run: $0, steps: Self.steps, bytes: bytes) }
                    try await engine.wait(for: runs, in: "completed")
                }.usage
            }
            try place.work().check(Sequence.name, runs: runs, steps: runs * Self.steps, executed: recorder.executed)
            return usage
        }
    }

    /// Groups as large as the engine's were.
    private func byHand(_ figures: Figures, _ template: RunTemplate, commits: Int) async throws -> Usage {
        try await settings.withPlace("b-hand") { place in
            let hand = try place.handWritten(template)
            let group = figures.runs * Self.events / max(1, commits)
            return try await place.meter().usage { try hand.together(figures.runs, events: Self.events, group: group) }.usage
        }
    }
}
