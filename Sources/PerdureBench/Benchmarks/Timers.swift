import Foundation

/// e: 10,000 runs sleep until moments that lie close together. How late does their code go on?
struct Timers {
    let settings: BenchSettings

    private var runs: Int { settings.scaled(10_000, quick: 60) }
    /// The moments are spread evenly over so many seconds.
    private var spread: Double { settings.isQuick ? 0.2 : 3 }

    func measure() async throws -> [Measurement] {
        let template = try await settings.template(Sleeper.self) { engine in
            let until = Int64(Date().timeIntervalSince1970 * 1e3) + 20
            let ids = try await engine.start(Sleeper.self, 1) { Sleeper.Input(run: $0, until: until) }
            try await engine.finish(ids)
        }
        var engine: [Double] = [], hand: [Double] = [], usages: [Usage] = []
        for _ in 0..<settings.rounds {
            let (late, usage) = try await byEngine()
            engine += late
            usages.append(usage)
            hand += try await byHand(template)
        }
        func figure(_ what: String, _ share: Double, _ budget: Measurement.Budget) -> Measurement {
            Measurement(
                .e, "lateness of \(runs) timers in \(spread) s, \(what)", engine.percentile(share) * 1e3, "ms",
                handwritten: hand.percentile(share) * 1e3, cpu: usages.map { $0.cpu * 1e3 / Double(runs) }.median,
                syncs: usages.map { Double($0.syncs) / Double(runs) }.median, runs: runs * settings.rounds, budgets: [budget])
        }
        return [figure("p50", 0.5, .atMost(10)), figure("p99", 0.99, .atMost(100))]
    }

    /// Everybody has to be asleep before the first is due; otherwise the benchmark is repeated with a later beginning.
    private func byEngine() async throws -> (late: [Double], usage: Usage) {
        for lead in [settings.isQuick ? 1.5 : 6.0, 30, 120] {
            if let result = try await byEngine(lead: lead) { return result }
        }
        throw BenchError("\(runs) timers could not be set within two minutes")
    }

    private func byEngine(lead: Double) async throws -> (late: [Double], usage: Usage)? {
        let runs = runs, spread = spread
        return try await settings.withPlace("e") { place in
            let recorder = Recorder()
            let first = Date().timeIntervalSince1970 + lead
            let usage = try await BenchEngine.with(place, recorder) { engine -> Usage? in
                try await engine.start(Sleeper.self, runs) { run in
                    Sleeper.Input(run: run, until: Int64((first + spread * Double(run) / Double(runs)) * 1e3))
                }
                let left = first - Date().timeIntervalSince1970
                guard (try? await engine.wait(for: runs, in: "waiting", limit: left)) != nil else { return nil }
                return try await place.meter().usage { try await engine.wait(for: runs, in: "completed") }.usage
            }
            guard let usage else { return nil }
            let work = try place.work()
            try work.check(Sleeper.name, runs: runs, steps: 0)
            return (try lateness(work.timersDue(), recorder), usage)
        }
    }

    /// The recorded due times, compared with the moments at which the code went on.
    private func lateness(_ timers: [(run: Int, due: Double)], _ recorder: Recorder) throws -> [Double] {
        let moments = recorder.moments
        let late = timers.compactMap { timer in moments[timer.run].map { ($0 - timer.due) / 1e6 } }
        try BenchError.check(late.count == runs, "\(late.count) of \(runs) timers fired")
        try BenchError.check(late.allSatisfy { $0 >= 0 }, "a timer fired before it was due")
        return late
    }

    private func byHand(_ template: RunTemplate) async throws -> [Double] {
        try await settings.withPlace("e-hand") { place in
            let hand = try place.handWritten(template)
            try hand.park(runs, group: 1_000)
            let first = Usage.now.time + 0.1
            return try hand.timers(due: (0..<runs).map { first + spread * Double($0) / Double(runs) }) { seconds in
                Thread.sleep(forTimeInterval: seconds)
            }
        }
    }
}
