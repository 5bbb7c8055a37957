import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// Kills the process before and after every commit that a run of `Flow` and its children make.
struct CrashSweep: Sendable {
    let workflows: @Sendable (EngineHarness) -> [RegisteredWorkflow]
    /// Called whenever something has changed, until it is over.
    let drive: @Sendable (EngineHarness, RunID) async throws -> Void
    /// Looks at what came of it; with the number of the commit of the crash.
    let check: @Sendable (EngineHarness, RunID, Int) async throws -> Void
    /// When it is over: nobody dies from there on. When the run is closed, if nothing else is said.
    var isOver: @Sendable (EngineHarness, RunID) async throws -> Bool = { try await $0.record($1).state.isFinal }

    private struct Fate {
        var hasDied = false
        var isRevived = false
    }

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
        // The first commit creates the run.
        for number in 2...max(2, commits) {
            for dies in [StoreFate.dieBefore, .dieAfter] {
                try await withEngines { harness in
                    let fate = Mutex(Fate())
                    harness.script.set { call in
                        guard case .commit(number, _) = call else { return .apply }
                        return fate.withLock { fate in
                            defer { fate.hasDied = true }
                            return fate.hasDied ? .apply : dies
                        }
                    }
                    try await harness.open { workflows(harness) }
                    let run = try await harness.start()
                    try await finish(run.id, in: harness) { harness, run in
                        if harness.isDead {
                            try await revive(harness)
                            fate.withLock { $0.isRevived = true }
                        }
                        try await drive(harness, run)
                    }
                    let isDying = fate.withLock { fate in
                        defer { fate.hasDied = true }
                        return fate.hasDied && !fate.isRevived
                    }
                    if isDying {
                        try await harness.until { harness.isDead }
                        try await revive(harness)
                    }
                    try await check(harness, run.id, number)
                }
            }
        }
    }

    private func revive(_ harness: EngineHarness) async throws {
        try await harness.crash()
        try await harness.open { workflows(harness) }
    }

    /// Calls `drive` whenever something has changed, until it is over.
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
