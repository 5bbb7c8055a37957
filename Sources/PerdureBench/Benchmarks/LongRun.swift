/// g: one run of 10,000 steps, one after the other; coming back in its middle; and a run of a million events.
struct LongRun {
    let settings: BenchSettings

    private var steps: Int { settings.scaled(10_000, quick: 200) }
    private var window: Int { steps / 10 }

    func measure() async throws -> [Measurement] {
        let steps = steps
        let template = try await settings.template(Sequence.self) { engine in
            try await engine.complete(Sequence.Input(run: 0, steps: steps, bytes: 64))
        }
        let figures = try await growth(template) + resuming(template)
        return settings.isWithoutMillions ? figures : try await figures + history()
    }

    // MARK: Does a step cost more when there are many before it?

    private func growth(_ template: RunTemplate) async throws -> [Measurement] {
        var engine: [[Double]] = [], hand: [[Double]] = [], usages: [Usage] = []
        for _ in 0..<settings.rounds {
            let (times, usage) = try await byEngine()
            engine.append(times)
            usages.append(usage)
            hand.append(
                try await settings.withPlace("g-hand") { place in
                    try place.handWritten(template).oneByOne(1, steps: steps).steps
                })
        }
        func ratio(_ rounds: [[Double]]) -> Double {
            rounds.map { Array($0.suffix(window)).median / Array($0.prefix(window)).median }.median
        }
        let cpu = usages.map { $0.cpu * 1e3 }.median, syncs = usages.map { Double($0.syncs) }.median
        return [
            Measurement(
                .g, "the last \(window) of \(steps) steps / the first \(window), p50", ratio(engine), "x",
                handwritten: ratio(hand),
                cpu: cpu, syncs: syncs, runs: settings.rounds, budgets: [.atMost(1.1)]),
            Measurement(
                .g, "step p50 in a run of \(steps)", engine.flatMap { $0 }.median * 1e3, "ms",
                handwritten: hand.flatMap { $0 }.median * 1e3, cpu: cpu, syncs: syncs, runs: settings.rounds),
        ]
    }

    private func byEngine() async throws -> ([Double], Usage) {
        try await settings.withPlace("g") { place in
            let recorder = Recorder(timesSteps: true)
            let usage = try await BenchEngine.with(place, recorder) { engine in
                try await place.meter().usage { try await engine.complete(Sequence.Input(run: 0, steps: steps, bytes: 64)) }.usage
            }
            try place.work().check(Sequence.name, runs: 1, steps: steps, executed: recorder.executed)
            return (recorder.stepSeconds, usage)
        }
    }

    // MARK: Coming back

    private func resuming(_ template: RunTemplate) async throws -> [Measurement] {
        let step = steps / 10 * 9
        var engine: [[String: Double]] = [], hand: [[String: Double]] = [], sinceStart: [Double] = []
        for _ in 0..<settings.rounds {
            let (figures, seconds) = try await resumed(killedAt: step)
            engine.append(figures)
            sinceStart.append(seconds)
            hand.append(try await resumedByHand(step, template))
        }
        let byHand = hand.map { ($0["since_open"] ?? 0) * 1e3 }.median
        return [
            Measurement(
                .g, "resuming at step \(step): from opening the store to the next step",
                engine.map { ($0["since_open"] ?? .infinity) * 1e3 }.median, "ms", handwritten: byHand, runs: settings.rounds,
                budgets: [.atMost(150)]),
            Measurement(
                .g, "the same, from the start of the process", sinceStart.median * 1e3, "ms", runs: settings.rounds),
        ]
    }

    private func resumed(killedAt step: Int) async throws -> ([String: Double], Double) {
        try await settings.withPlace("g-resume") { place in
            try await settings.withFolder { folder in
                // Where a lease would have to end first, the process hands its run over.
                try await place.crash(
                    counter: folder + "/before", runs: 1, steps: steps, at: step, isKilled: settings.kind.hasLocks, settings)
            }
            let child = try Child(settings, WorkerOrder(.resume, place, runs: 1))
            let moving = try await child.next(.moving)
            _ = try await child.next(.done)
            await child.stop()
            try place.work().check(Sequence.name, runs: 1, steps: steps)
            return (moving, (moving["at"] ?? .infinity) - child.startedAt)
        }
    }

    private func resumedByHand(_ step: Int, _ template: RunTemplate) async throws -> [String: Double] {
        try await settings.withPlace("g-resume-hand") { place in
            do {
                let hand = try place.handWritten(template)
                try hand.transaction {
                    try hand.create(1)
                    for seq in 2...(step + 1) { try hand.append(1, seq) }
                }
            }
            let child = try Child(settings, WorkerOrder(.resumeByHand, place, runs: 1))
            let figures = try await child.next(.moving)
            await child.stop()
            return figures
        }
    }

    // MARK: A million events

    private func history() async throws -> [Measurement] {
        let events = settings.scaled(1_000_000, quick: 1_000)
        return try await settings.withPlace("g-million") { place in
            try await LongHistory.write(place, events: events)
            let child = try Child(settings, WorkerOrder(.resume, place, runs: 1))
            let moving = try await child.next(.moving)
            let done = try await child.next(.done)
            await child.stop()
            try place.work().check(Sequence.name, runs: 1, steps: events)
            let hand = try await byHandAgain(place)
            return [
                Measurement(
                    .g, "resuming a run of \(events) events: from opening the store to the next step",
                    moving["since_open"] ?? .infinity, "s", handwritten: hand["since_open"], cpu: done["cpu_ms"],
                    syncs: done["syncs"],
                    runs: 1, budgets: [.atMost(15)]),
                Measurement(
                    .g, "most memory meanwhile, whole process", (done["peak"] ?? 0) / 1e6, "MB",
                    handwritten: (hand["peak"] ?? 0) / 1e6, runs: 1),
            ]
        }
    }

    /// Reads the same rows once more.
    private func byHandAgain(_ place: BenchPlace) async throws -> [String: Double] {
        try place.work().reopen(Sequence.name)
        let child = try Child(settings, WorkerOrder(.resumeByHand, place, runs: 1))
        let moving = try await child.next(.moving), done = try await child.next(.done)
        await child.stop()
        return moving.merging(done) { $1 }
    }
}
