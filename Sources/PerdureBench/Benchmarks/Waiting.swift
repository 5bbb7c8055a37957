/// d: runs that only wait. How fast they are parked and woken, and what each of them takes while it waits.
struct Waiting {
    let settings: BenchSettings
    private static let bytes = 64

    func measure() async throws -> [Measurement] {
        try await speed() + memory()
    }

    private struct Round {
        var parking: Usage
        var waking: Usage
        var bytesOnDisk: Double
    }

    // MARK: Speed and disk

    private func speed() async throws -> [Measurement] {
        let runs = settings.scaled(10_000, quick: 100)
        let template = try await settings.template(Waiter.self) { engine in
            let value = Value.text(Self.bytes)
            let ids = try await engine.start(Waiter.self, 1) { _ in value }
            try await engine.wake(ids)
            try await engine.finish(ids)
        }
        var engine: [Round] = [], hand: [Round] = []
        for _ in 0..<settings.rounds {
            let round = try await byEngine(runs)
            engine.append(round)
            hand.append(
                try await byHand(runs, template, parkingCommits: round.parking.commits, wakingCommits: round.waking.commits))
        }
        func figure(
            _ what: String, _ unit: String, _ of: (Round) -> Double, _ usage: ((Round) -> Usage)?, _ budget: Measurement.Budget
        ) -> Measurement {
            Measurement(
                .d, what, engine.map(of).median, unit, handwritten: hand.map(of).median,
                cpu: usage.map { usage in engine.map { usage($0).cpu * 1e3 / Double(runs) }.median },
                syncs: usage.map { usage in engine.map { Double(usage($0).syncs) / Double(runs) }.median },
                runs: runs * settings.rounds, budgets: [budget])
        }
        return [
            figure("parking \(runs) runs", "s", \.parking.time, \.parking, .atMost(2)),
            figure("waking \(runs) runs to completion", "s", \.waking.time, \.waking, .atMost(3)),
            figure("disk of a waiting run, its value not counted", "B", \.bytesOnDisk, nil, .atMost(700)),
        ]
    }

    private func byEngine(_ runs: Int) async throws -> Round {
        try await settings.withPlace("d") { place in
            let value = Value.text(Self.bytes)
            var round: Round?
            try await BenchEngine.with(place) { engine in
                let meter = try place.meter(), work = try place.work()
                let empty = try work.bytesOnDisk()
                let (ids, parking) = try await meter.usage {
                    let ids = try await engine.start(Waiter.self, runs) { _ in value }
                    try await engine.wait(for: runs, in: "waiting")
                    return ids
                }
                let full = try work.bytesOnDisk()
                let waking = try await meter.usage {
                    try await engine.wake(ids)
                    try await engine.wait(for: runs, in: "completed")
                }.usage
                round = Round(
                    parking: parking, waking: waking, bytesOnDisk: Double(full - empty) / Double(runs) - Double(Self.bytes))
            }
            try place.work().check(Waiter.name, runs: runs, steps: 0)
            guard let round else { throw BenchError("nothing was measured") }
            return round
        }
    }

    private func byHand(_ runs: Int, _ template: RunTemplate, parkingCommits: Int, wakingCommits: Int) async throws -> Round {
        try await settings.withPlace("d-hand") { place in
            let hand = try place.handWritten(template), meter = try place.meter()
            let empty = try hand.bytesOnDisk()
            // Two commits for a group in each of the two.
            let parking = try await meter.usage { try hand.park(runs, group: 2 * runs / max(2, parkingCommits)) }.usage
            let full = try hand.bytesOnDisk()
            let waking = try await meter.usage {
                try hand.wake(runs, events: template.events.count, group: 2 * runs / max(2, wakingCommits))
            }.usage
            return Round(parking: parking, waking: waking, bytesOnDisk: Double(full - empty) / Double(runs) - Double(Self.bytes))
        }
    }

    // MARK: Memory

    /// In a process of its own, where nothing else has left anything behind.
    private func memory() async throws -> [Measurement] {
        var all: [Measurement] = []
        for runs in settings.isQuick ? [100] : settings.isWithoutMillions ? [10_000] : [10_000, 1_000_000] {
            let report = try await settings.withPlace("d-memory") { place in
                try await Child.report(settings, WorkerOrder(.park, place, runs: runs, bytes: Self.bytes))
            }
            let perRun = report["bytes_per_run"] ?? 0
            all.append(
                Measurement(
                    .d, "memory of a waiting run among \(runs), evicted", perRun, "B", cpu: report["cpu_ms_per_run"],
                    syncs: report["syncs_per_run"], runs: runs, budgets: [.atMost(100)]))
            if runs > 10_000 {
                all.append(
                    Measurement(
                        .d, "disk of a waiting run among \(runs), its value not counted", report["disk_per_run"] ?? 0, "B",
                        runs: runs, budgets: [.atMost(700)]))
            }
        }
        return all
    }
}
