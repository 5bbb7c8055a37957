import Foundation
import Logging
import Perdure
import PerdureEngine

/// An engine over a store of its own, as a program would embed it, ready for work.
struct BenchEngine: Sendable {
    let engine: Engine
    let place: BenchPlace
    private let running: Task<Void, any Error>
    /// Runs that have completed before anything was measured.
    private var completedBefore = 0
    private static let user = Principal(.system, "bench")

    private init(_ engine: Engine, _ place: BenchPlace, _ running: Task<Void, any Error>) {
        self.engine = engine
        self.place = place
        self.running = running
    }

    static func open(
        _ place: BenchPlace, _ recorder: Recorder = Recorder(), _ change: (inout EngineConfiguration) -> Void = { _ in }
    ) async throws -> BenchEngine {
        let engine = try await make(place, recorder, change)
        let running = Task { try await engine.run() }
        return BenchEngine(engine, place, running)
    }

    /// An engine that does nothing yet.
    private static func make(
        _ place: BenchPlace, _ recorder: Recorder, _ change: (inout EngineConfiguration) -> Void
    ) async throws -> Engine {
        _ = SyncCounter.install
        var configuration = EngineConfiguration()
        change(&configuration)
        let logger = Logger(label: "perdure") { _ in SwiftLogNoOpLogHandler() }
        return try await Engine(store: place.configuration(logger), configuration: configuration, logger: logger) {
            Sequence(recorder: recorder)
            Fan(recorder: recorder)
            Waiter()
            Sleeper(recorder: recorder)
        }
    }

    /// Starts runs as an engine that has none itself; its lease ends soon after.
    static func submit<W: Workflow>(
        _ place: BenchPlace, _ type: W.Type, _ count: Int, input: @escaping @Sendable (Int) -> W.Input
    ) async throws {
        let engine = try await make(place, Recorder(), { _ in })
        _ = try await start(on: engine, type, count, input: input)
        await engine.client.close()
    }

    private static let warmUpRuns = 50

    /// Does a little of everything, so that nothing is measured that only the first run pays for.
    mutating func warmUp() async throws {
        let runs = try await start(Fan.self, Self.warmUpRuns) { Sequence.Input(run: -1 - $0, steps: 2, bytes: 64) }
        try await finish(runs)
        completedBefore += runs.count
    }

    /// Starts runs, as many callers at once as would be in a busy service.
    @discardableResult
    func start<W: Workflow>(_ type: W.Type, _ count: Int, input: @escaping @Sendable (Int) -> W.Input) async throws -> [RunID] {
        try await Self.start(on: engine, type, count, input: input)
    }

    private static func start<W: Workflow>(
        on engine: Engine, _ type: W.Type, _ count: Int, input: @escaping @Sendable (Int) -> W.Input
    ) async throws -> [RunID] {
        try await withThrowingTaskGroup(of: [(Int, RunID)].self) { group in
            let callers = min(count, 512)
            for caller in 0..<callers {
                group.addTask {
                    var ids: [(Int, RunID)] = []
                    for index in stride(from: caller, to: count, by: callers) {
                        ids.append((index, try await engine.start(type, input: input(index), by: user).id))
                    }
                    return ids
                }
            }
            var all: [(Int, RunID)] = []
            for try await ids in group { all += ids }
            return all.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// Starts one run and waits for its result.
    func complete(_ input: Sequence.Input) async throws {
        let steps = try await engine.start(Sequence.self, input: input, by: Self.user).result()
        try BenchError.check(steps == input.steps, "a run of \(input.steps) steps says that it had \(steps)")
    }

    /// Waits until all of them have completed.
    func finish(_ runs: [RunID]) async throws {
        for run in runs { _ = try await engine.result(of: run) }
    }

    /// Sends every run its message.
    func wake(_ runs: [RunID]) async throws {
        let callers = min(runs.count, 512)
        try await withThrowingTaskGroup { group in
            for caller in 0..<callers {
                group.addTask {
                    for index in stride(from: caller, to: runs.count, by: callers) {
                        try await engine.client.signal(runs[index], Waiter.Go.self, index, by: Self.user)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Returns once so many of the measured runs are in a state.
    func wait(for count: Int, in state: String, limit: Double = 1_800) async throws {
        let work = try place.work()
        let others = state == "completed" ? completedBefore : 0
        let deadline = Usage.now.time + limit
        while true {
            let found = try work.runs(in: state) - others
            if found >= count { return }
            try BenchError.check(Usage.now.time < deadline, "only \(found) of \(count) runs became \(state) in \(limit) s")
            // Counting takes as long as there are runs: it must not take a share of what is measured.
            try await Task.sleep(for: .milliseconds(count > 20_000 ? 200 : count > 2_000 ? 50 : 2))
        }
    }

    func stop() async throws {
        running.cancel()
        do {
            try await running.value
        } catch is CancellationError {
            return
        }
    }

    /// Stops the engine also when the body fails.
    static func with<Result>(
        _ place: BenchPlace, _ recorder: Recorder = Recorder(), _ change: (inout EngineConfiguration) -> Void = { _ in },
        _ body: (BenchEngine) async throws -> Result
    ) async throws -> Result {
        var engine = try await open(place, recorder, change)
        do {
            try await engine.warmUp()
            let result = try await body(engine)
            try await engine.stop()
            return result
        } catch {
            try? await engine.stop()
            throw error
        }
    }
}
