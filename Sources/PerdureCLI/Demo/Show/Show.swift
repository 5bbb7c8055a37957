import Foundation
import Perdure
import PerdureEngine
import PerdureExamples
import PerdurePeer

/// Plays the stories: starts the engine, sees it killed, starts it again, until every run is closed.
final class Show {
    private let stage: Stage
    private let lives: Lives
    private let narrator: Narrator
    private(set) var kills: [(boundary: Boundary, detail: String)] = []
    private(set) var missed: [Boundary] = []

    init(_ stage: Stage, _ narrator: Narrator) {
        self.stage = stage
        self.narrator = narrator
        lives = Lives(stage) { narrator.say($0) }
    }

    func play(_ stories: [Story]) async throws -> DemoReport {
        let start = ContinuousClock.now
        for story in stories { try await play(story) }
        let report = try await Tally(stage, try await lives.person.connected(), lives.runs).report(
            kills: kills.map(\.boundary), missed: missed, duration: ContinuousClock.now - start)
        await lives.person.leave()
        return report
    }

    private func play(_ story: Story) async throws {
        narrator.begin(story.title)
        for (operation, behaviour) in story.trouble {
            try await stage.peer.ledger.setBehaviour(behaviour, of: .operation(operation))
        }
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
        let life = try await lives.live(starts, crash: rule)
        if let detail = life.crash {
            note(rule.boundary, detail)
        } else {
            missed.append(rule.boundary)
            narrator.miss(rule.boundary)
        }
    }

    private func play(_ starts: [EngineSetup.Start], killedAfter count: Int) async throws {
        var last = "nothing yet", events = 0
        let life = try await lives.live(starts) { report in
            guard report.what == .event else { return false }
            events += 1
            last = [report.kind, report.subject].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: " ")
            return events == count
        }
        if life.wasKilled { note(.random, "after \(last)") }
    }

    private func playSignal(_ starts: [EngineSetup.Start], _ key: String) async throws {
        try await lives.liveUntilHeld(starts, .charge)
        guard let run = lives.run(key) else { throw DemoError("there is no run \(key)") }
        let customer = Principal(.human, "customer")
        try await lives.person.connected().signal(run, Withdrawal.self, "changed my mind", by: customer)
        note(.signalWhileDown, "\(key) is charged and not recorded; the customer withdraws while nobody is there")
    }

    private func playToTheEnd(_ starts: [EngineSetup.Start]) async throws {
        try await lives.liveToTheEnd(starts)
        narrator.end(runs: starts.count)
    }

    private func note(_ boundary: Boundary, _ detail: String) {
        kills.append((boundary, detail))
        narrator.kill(kills.count, boundary, detail)
    }
}
