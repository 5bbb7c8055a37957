import Foundation
package import Perdure
package import PerdurePeer

/// One engine process after the other over one store, and the person who looks after their runs meanwhile.
package final class Lives {
    /// How one process ended.
    package struct Life: Sendable {
        /// Whether it was killed; otherwise every run was closed.
        package var wasKilled = false
        /// Where it killed itself.
        package var crash: String?
        /// Everything that it reported.
        package var reports: [EngineReport] = []
    }

    /// Longer than anything takes on a slow machine.
    private static let patience = Duration.seconds(90)

    package let person: Operator
    /// Every run that an engine has spoken of.
    package private(set) var runs: [RunID: EngineReport] = [:]
    private let stage: Stage
    private let tell: (String) -> Void
    private var open: Set<RunID> = []

    /// - Parameter tell: Is told in words what the person does.
    package init(_ stage: Stage, tell: @escaping (String) -> Void = { _ in }) {
        self.stage = stage
        self.tell = tell
        person = Operator(stage)
    }

    /// The run with this key.
    package func run(_ key: String) -> RunID? { runs.first { $0.value.key == key }?.key }

    /// Starts an engine and follows it until it is dead or every run is closed. It is killed where `kills` says so.
    @discardableResult
    package func live(
        _ starts: [EngineSetup.Start], crash: CrashRule? = nil, kills: (EngineReport) -> Bool = { _ in false }
    ) async throws -> Life {
        try await follow(try stage.engine(starts, crash: crash), kills: kills)
    }

    /// Starts an engine that nobody kills, and follows it until every run is closed.
    @discardableResult
    package func liveToTheEnd(_ starts: [EngineSetup.Start]) async throws -> Life {
        let life = try await live(starts)
        guard open.isEmpty, !life.wasKilled else { throw DemoError("the engine ended although \(open.count) runs are open") }
        return life
    }

    /// Starts an engine and kills it when the peer has had an effect and keeps the answer.
    @discardableResult
    package func liveUntilHeld(_ starts: [EngineSetup.Start], _ operation: PeerOperation) async throws -> Life {
        try await stage.hold(operation, true)
        let process = try stage.engine(starts)
        do {
            try await stage.untilHeld(operation)
        } catch {
            process.kill()
            throw error
        }
        process.kill()
        let life = try await follow(process) { _ in false }
        try await stage.hold(operation, false)
        return life
    }

    private func follow(_ process: EngineProcess, kills: (EngineReport) -> Bool) async throws -> Life {
        let start = ContinuousClock.now, patience = Self.patience
        let limit = Task { @Sendable in
            try await Task.sleep(for: patience)
            process.kill()
        }
        defer { limit.cancel() }
        var life = Life(), isReady = false
        for await report in process.reports {
            // First, so that nobody has time to do anything in between.
            if kills(report) { process.kill() }
            life.reports.append(report)
            if report.what == .crash { life.crash = report.detail }
            if report.what == .ready { isReady = true }
            try await take(report)
            if isReady, open.isEmpty { process.stop() }
        }
        let status = await process.wait()
        if ContinuousClock.now - start >= patience { throw DemoError("the engine came to no end; open runs: \(open)") }
        guard status == 0 || status == -SIGKILL else { throw DemoError("the engine ended by itself, with status \(status)") }
        life.wasKilled = status == -SIGKILL
        return life
    }

    private func take(_ report: EngineReport) async throws {
        let run = report.run.flatMap(RunID.init)
        switch (report.what, run) {
        case (.run, let run?):
            runs[run] = report
            let isClosed = ["completed", "failed", "cancelled", "terminated"].contains(report.kind)
            if isClosed { open.remove(run) } else { open.insert(run) }
        case (.ready, _):
            for run in open.sorted(by: { $0.description < $1.description }) { try await look(at: run) }
        case (.event, let run?) where report.isFinalEvent: open.remove(run)
        case (.event, let run?) where report.kind == "approval.requested" || report.kind == "run.parked": try await look(at: run)
        default: break
        }
    }

    private func look(at run: RunID) async throws {
        for words in try await person.look(at: run) { tell(words) }
    }
}
