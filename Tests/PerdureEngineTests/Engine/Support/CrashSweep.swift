import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// Kills the process before and after every commit that a run of `Flow` and its children make.
struct CrashSweep: Sendable {
    let workflows: @Sendable (EngineHarness) -> [RegisteredWorkflow]
    /// Called whenever something has changed, until the run is closed.
    let drive: @Sendable (EngineHarness, RunID) async throws -> Void
    /// Looks at what came of it; with the number of the commit of the crash.
    let check: @Sendable (EngineHarness, RunID, Int) async throws -> Void

    /// Whether nothing more is to come about, here or in other runs.
    var isOver: @Sendable (EngineHarness, RunID) async throws -> Bool = { try await $0.record($1).state.isFinal }

    /// Runs the workflow once undisturbed, then once for each commit and side, with a crash there.
    func run() async throws {
        var commits = 0
        try await withEngines { harness in
            let count = Mutex(0)
            harness.script.set { call in
                if case .commit(let number, _) = call { count.withLock { $0 = max($0, number) } }
                return .apply
            }
            try await harness.open { workflows(harness) }
            let run = try await harness.start()
            try await finish(run.id, in: harness, drive: drive)
            try await check(harness, run.id, 0)
            commits = count.withLock { $0 }
        }
        let deaths = Mutex(0)
        // The first commit creates the run.
        try #require(commits > 1, "nothing is committed but the start")
        for number in 2...commits {
            for dies in [StoreFate.dieBefore, .dieAfter] {
                try Task.checkCancellation()
                try await withEngines { harness in
                    let hasDied = Mutex(false)
                    harness.script.set { call in
                        guard case .commit(number, _) = call, !hasDied.withLock({ $0 }) else { return .apply }
                        hasDied.withLock { $0 = true }
                        deaths.withLock { $0 += 1 }
                        return dies
                    }
                    try await harness.open { workflows(harness) }
                    let run = try await harness.start()
                    try await finish(run.id, in: harness) { harness, run in
                        if harness.isDead {
                            try await harness.crash()
                            try await harness.open { workflows(harness) }
                        }
                        try await drive(harness, run)
                    }
                    if harness.isDead {
                        try await harness.crash()
                        try await harness.open { workflows(harness) }
                    }
                    try await check(harness, run.id, number)
                }
            }
        }
        // What comes together shares a commit, so the last ones need not be met in every round.
        let met = deaths.withLock { $0 }
        #expect(met >= commits - 1, "only \(met) of \(2 * (commits - 1)) crashes came about")
    }

    /// Calls `drive` whenever something has changed, until everything is over.
    private func finish(
        _ run: RunID, in harness: EngineHarness, drive: @escaping @Sendable (EngineHarness, RunID) async throws -> Void
    ) async throws {
        try await harness.until {
            if try await isOver(harness, run) { return true }
            do {
                try await drive(harness, run)
            } catch let error as PerdureError where [.engineStopped, .runClosed, .questionClosed].contains(error.code) {
                // The engine died, or the run went on, while it was looked at.
            }
            return try await isOver(harness, run)
        }
    }
}
