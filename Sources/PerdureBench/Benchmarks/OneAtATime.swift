/// a: what a step costs when nothing else is going on. Each is one commit, and the next begins when it is durable.
///
/// The engine and the hand-written program take turns after every workflow: a disk that changes its mind within seconds then changes
/// it for both.
struct OneAtATime {
    let settings: BenchSettings
    static let steps = 10

    func measure() async throws -> [Measurement] {
        var all: [Measurement] = []
        for bytes in [64, 1_024] { all += try await measure(bytes: bytes) }
        return all
    }

    private struct Times {
        var steps: [Double] = []
        var runs: [Double] = []
        var usage: Usage?

        mutating func add(_ steps: [Double], _ usage: Usage) {
            self.steps += steps
            runs.append(usage.time)
            self.usage = self.usage.map { $0 + usage } ?? usage
        }
    }

    private func measure(bytes: Int) async throws -> [Measurement] {
        let runs = settings.scaled(150, quick: 5) * settings.rounds
        let template = try await settings.template(Sequence.self) { engine in
            try await engine.complete(Sequence.Input(run: 0, steps: Self.steps, bytes: bytes))
        }
        let (engine, hand) = try await settings.withPlace("a") { place in
            try await settings.withPlace("a-hand") { handPlace in
                try await inTurns(runs, bytes: bytes, place, try handPlace.handWritten(template), try handPlace.meter())
            }
        }
        func figure(_ what: String, _ share: Double, _ of: (Times) -> [Double], _ budgets: [Measurement.Budget] = [])
            -> Measurement
        {
            Measurement(
                .a, "\(what), \(bytes) B", of(engine).percentile(share) * 1e3, "ms",
                handwritten: of(hand).percentile(share) * 1e3,
                cpu: engine.usage.map { $0.cpu * 1e3 / Double(runs) },
                syncs: engine.usage.map { Double($0.syncs) / Double(runs) },
                runs: runs, budgets: budgets)
        }
        return [
            figure("step p50", 0.5, \.steps, [.ratioAtMost(1.3)]), figure("step p99", 0.99, \.steps, [.ratioAtMost(1.3)]),
            figure("workflow of 10 steps p50", 0.5, \.runs),
        ]
    }

    private func inTurns(
        _ runs: Int, bytes: Int, _ place: BenchPlace, _ hand: any HandWritten, _ meter: Meter
    ) async throws -> (Times, Times) {
        let recorder = Recorder(timesSteps: true)
        var byEngine = Times(), byHand = Times()
        try await BenchEngine.with(place, recorder) { engine in
            try await engine.complete(Sequence.Input(run: -1, steps: Self.steps, bytes: bytes))
            for run in 0..<runs {
                let before = recorder.stepSeconds.count
                let usage = try await meter.usage {
                    try await engine.complete(Sequence.Input(run: run, steps: Self.steps, bytes: bytes))
                }.usage
                byEngine.add(Array(recorder.stepSeconds.dropFirst(before)), usage)
                let (times, handUsage) = try await meter.usage { try hand.oneByOne(run + 1, steps: Self.steps) }
                byHand.add(times.steps, handUsage)
            }
        }
        try place.work().check(Sequence.name, runs: runs, steps: runs * Self.steps, executed: recorder.executed)
        try BenchError.check(try hand.completedRuns() == runs, "the hand-written program did not complete every run")
        return (byEngine, byHand)
    }
}
