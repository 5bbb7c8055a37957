/// i: how long it takes from the start of the process to the first step, and what the process takes when it has nothing to do. The store is
/// there already: it is made once, and processes start again and again.
struct ProcessStart {
    let settings: BenchSettings

    func measure() async throws -> [Measurement] {
        var engine: [(seconds: Double, memory: Double)] = [], hand: [(seconds: Double, memory: Double)] = []
        for _ in 0..<settings.rounds {
            engine.append(try await round(.start))
            hand.append(try await round(.startByHand))
        }
        return [
            Measurement(
                .i, "from process start to the first step", engine.map(\.seconds).median * 1e3, "ms",
                handwritten: hand.map(\.seconds).median * 1e3, runs: settings.rounds, budgets: [.atMost(100)]),
            Measurement(
                .i, "memory of an idle process", engine.map(\.memory).median / 1e6, "MB",
                handwritten: hand.map(\.memory).median / 1e6,
                runs: settings.rounds, budgets: [.atMost(40)]),
        ]
    }

    private func round(_ task: WorkerOrder.Task) async throws -> (seconds: Double, memory: Double) {
        try await settings.withPlace("i") { place in
            if task == .start {
                let first = try Child(settings, WorkerOrder(.work, place))
                _ = try await first.next(.idle)
                await first.stop()
            }
            let child = try Child(settings, WorkerOrder(task, place))
            let moving = try await child.next(.moving), idle = try await child.next(.idle)
            await child.stop()
            return ((moving["at"] ?? .infinity) - child.startedAt, idle["memory"] ?? 0)
        }
    }
}
