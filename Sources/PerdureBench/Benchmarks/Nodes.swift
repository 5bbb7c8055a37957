/// h: several processes on one PostgreSQL. Do more of them carry at least as much, and when does a dead one's work go on?
struct Nodes {
    let settings: BenchSettings
    private static let steps = 10
    /// Seconds after which something is taken for broken.
    private static let longest = 600.0

    func measure() async throws -> [Measurement] {
        try await throughput() + takeover()
    }

    // MARK: More nodes

    private func throughput() async throws -> [Measurement] {
        let counts = settings.isQuick ? [1, 2] : [1, 2, 4]
        var rates: [Int: [Double]] = [:], usages: [Int: [Usage]] = [:]
        // In turns, so that a machine that changes its pace does it for all.
        for _ in 0..<settings.rounds {
            for count in counts {
                let (rate, usage) = try await carried(by: count)
                rates[count, default: []].append(rate)
                usages[count, default: []].append(usage)
            }
        }
        var before: Double?
        return counts.map { count in
            let rate = (rates[count] ?? []).median, budgets = before.map { [Measurement.Budget.atLeast($0)] } ?? []
            before = max(before ?? 0, rate)
            return Measurement(
                .h, "steps/s, \(count) node\(count == 1 ? "" : "s"), \(runs) workflows", rate, "steps/s",
                cpu: (usages[count] ?? []).map { $0.cpu * 1e3 / Double(runs) }.median,
                syncs: (usages[count] ?? []).map { Double($0.syncs) / Double(runs) }.median,
                runs: runs * settings.rounds, budgets: budgets)
        }
    }

    private var runs: Int { settings.scaled(4_000, quick: 40) }

    /// From the first start, by a process that hosts nothing, until the last run has completed. Of processor time the server's is
    /// counted, and not the nodes' own.
    private func carried(by count: Int) async throws -> (stepsPerSecond: Double, usage: Usage) {
        try await settings.withPlace("h") { place in
            var nodes: [Child] = []
            for _ in 0..<count {
                nodes.append(try Child(settings, WorkerOrder(.work, place)))
                // The first of them makes the tables.
                _ = try await nodes.last?.next(.idle)
            }
            let work = try place.work()
            let usage = try await place.meter().usage {
                try await BenchEngine.submit(place, Sequence.self, runs) { Sequence.Input(run: $0, steps: Self.steps, bytes: 64) }
                let deadline = Usage.now.time + Self.longest
                while try work.runs(in: "completed") < runs {
                    guard Usage.now.time < deadline else { throw BenchError("\(count) nodes did not complete \(runs) workflows") }
                    try await Task.sleep(for: .milliseconds(10))
                }
            }.usage
            for node in nodes { await node.stop() }
            try work.check(Sequence.name, runs: runs, steps: runs * Self.steps)
            return (Double(runs * Self.steps) / usage.time, usage)
        }
    }

    // MARK: A dead node

    /// Runs with more steps than they will get to, so that every one of them is in flight when their node dies.
    private func takeover() async throws -> [Measurement] {
        let runs = settings.scaled(200, quick: 5)
        var seconds: [Double] = []
        for _ in 0..<settings.rounds {
            seconds.append(
                try await settings.withPlace("h-takeover") { place in
                    try await settings.withFolder { folder in
                        let counter = folder + "/counter"
                        let dying = try Child(
                            settings, WorkerOrder(.crash, place, counter: counter, runs: runs, steps: 1_000_000))
                        let deadline = Usage.now.time + Self.longest
                        while Set(CounterFile.lines(counter).map(\.run)).count < runs {
                            guard Usage.now.time < deadline else { throw BenchError("a node did not begin \(runs) workflows") }
                            try await Task.sleep(for: .milliseconds(20))
                        }
                        let other = try Child(settings, WorkerOrder(.work, place, runs: runs))
                        _ = try await other.next(.idle)
                        let killedAt = Usage.now.time
                        await dying.kill()
                        let moving = try await other.next(.moving)
                        await other.kill()
                        return (moving["at"] ?? .infinity) - killedAt
                    }
                })
        }
        return [
            Measurement(
                .h, "from the death of a node until all of its \(runs) runs move at another", seconds.median, "s",
                runs: runs * settings.rounds, budgets: [.atMost(BenchKind.lease + 1)])
        ]
    }
}
