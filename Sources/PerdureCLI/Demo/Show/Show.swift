import Foundation
import Perdure
import PerdureEngine
import PerdureExamples
import PerdurePeer

/// Plays the stories: starts the engine, sees it killed, starts it again, until every run is closed.
final class Show {
    /// Longer than any part of the demo takes on a slow machine.
    private static let patience = Duration.seconds(90)

    private let stage: Stage
    private let person: Operator
    private let narrator: Narrator
    private(set) var kills: [(boundary: Boundary, detail: String)] = []
    private(set) var missed: [Boundary] = []
    private(set) var runs: [RunID: EngineReport] = [:]
    private var open: Set<RunID> = []
    private var areAllStarted = false

    init(_ stage: Stage, _ narrator: Narrator) {
        self.stage = stage
        self.narrator = narrator
        person = Operator(stage)
    }

    func play(_ stories: [Story]) async throws -> DemoReport {
        let start = ContinuousClock.now
        for story in stories { try await play(story) }
        let report = try await Tally(stage, try await person.connected(), runs).report(
            kills: kills.map(\.boundary), missed: missed, duration: ContinuousClock.now - start)
        await person.leave()
        return report
    }

    private func play(_ story: Story) async throws {
        narrator.begin(story.title)
        for (operation, behaviour) in story.trouble { try await stage.peer.ledger.setBehaviour(behaviour, of: .operation(operation)) }
        for kill in story.kills {
            switch kill {
            case .at(let rule): try await play(story.starts, rule)
            case .random(let count): try await play(story.starts, killedAfter: count)
            case .thenSignal(let key): try await playSignal(story.starts, key)
            }
        }
        try await playToTheEnd(story.starts)
    }

    // MARK: One life of the engine

    private func play(_ starts: [EngineSetup.Start], _ rule: CrashRule) async throws {
        let process = try stage.engine(starts, crash: rule)
        var detail: String?
        try await watch(process) { report in
            if report.what == .crash { detail = report.detail }
            return false
        }
        if let detail {
            note(rule.boundary, detail)
        } else {
            missed.append(rule.boundary)
            narrator.miss(rule.boundary)
        }
    }

    private func play(_ starts: [EngineSetup.Start], killedAfter count: Int) async throws {
        let process = try stage.engine(starts)
        var events = 0, last = "nothing yet"
        let wasKilled = try await watch(process) { report in
            guard report.what == .event else { return false }
            events += 1
            last = [report.kind, report.subject].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: " ")
            return events == count
        }
        if wasKilled { note(.random, "after \(last)") }
    }

    private func playSignal(_ starts: [EngineSetup.Start], _ key: String) async throws {
        try await stage.hold(.charge, true)
        let process = try stage.engine(starts)
        try await stage.untilHeld(.charge)
        process.kill()
        try await watch(process) { _ in false }
        try await stage.hold(.charge, false)
        guard let run = runs.first(where: { $0.value.key == key })?.key else { throw DemoError("there is no run \(key)") }
        try await person.connected().signal(run, Withdrawal.self, "changed my mind", by: Principal(.human, "customer"))
        note(.signalWhileDown, "\(key) is charged and not recorded; the customer withdraws while nobody is there")
    }

    private func playToTheEnd(_ starts: [EngineSetup.Start]) async throws {
        let process = try stage.engine(starts)
        try await watch(process) { _ in false }
        guard open.isEmpty else { throw DemoError("the engine ended although \(open.count) runs are open") }
        narrator.end(runs: starts.count)
    }

    /// Follows a process to its end. It is killed where `kills` says so, and asked to end when every run is closed.
    /// Returns whether it was killed.
    @discardableResult
    private func watch(_ process: EngineProcess, kills: (EngineReport) -> Bool) async throws -> Bool {
        areAllStarted = false
        let patience = Self.patience
        let limit = Task { @Sendable in
            try await Task.sleep(for: patience)
            process.kill()
        }
        defer { limit.cancel() }
        let start = ContinuousClock.now
        for await report in process.reports {
            // First, so that nobody has time to do anything in between.
            if kills(report) { process.kill() }
            try await take(report)
            if areAllStarted, open.isEmpty { process.stop() }
        }
        let status = await process.wait()
        if ContinuousClock.now - start >= patience { throw DemoError("the engine came to no end; open runs: \(open)") }
        guard status == 0 || status == -SIGKILL else { throw DemoError("the engine ended by itself, with status \(status)") }
        return status == -SIGKILL
    }

    private func take(_ report: EngineReport) async throws {
        switch report.what {
        case .run:
            guard let run = report.run.flatMap(RunID.init) else { return }
            runs[run] = report
            let isClosed = ["completed", "failed", "cancelled", "terminated"].contains(report.kind)
            if isClosed { open.remove(run) } else { open.insert(run) }
        case .ready:
            areAllStarted = true
            for run in open.sorted(by: { $0.description < $1.description }) { try await look(at: run) }
        case .event:
            guard let run = report.run.flatMap(RunID.init) else { return }
            if report.isFinalEvent {
                open.remove(run)
            } else if report.kind == "approval.requested" || report.kind == "run.parked" {
                try await look(at: run)
            }
        case .takeover, .crash: break
        }
    }

    private func look(at run: RunID) async throws {
        for words in try await person.look(at: run) { narrator.say(words) }
    }

    private func note(_ boundary: Boundary, _ detail: String) {
        kills.append((boundary, detail))
        narrator.kill(kills.count, boundary, detail)
    }
}
