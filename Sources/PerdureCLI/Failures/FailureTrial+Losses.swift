import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore

// History that goes back: what an operator does, and what people say afterwards.
extension FailureTrial {
    private static let recoverer = Principal(.human, "operator")
    /// How long nodes may take to notice.
    private static let patienceWithNodes = Duration.seconds(60)

    /// Waits until nodes hold, recovers, and starts again what was accepted and is lost.
    ///
    /// - Parameter isBusy: whether there was so much to do that something is lost for certain.
    func recoverHistory(isBusy: Bool) async throws {
        let begin = ContinuousClock.now
        var noticed: RestorationInfo?
        while noticed == nil {
            try await restartNodes(closed: lastClosed)
            noticed = try await unlessAway { try await connected().restoration() }?.flatMap { $0.recoveredAt == nil ? $0 : nil }
            let waited = ContinuousClock.now - begin
            if !isBusy, waited > .seconds(10) { return }
            guard waited < Self.patienceWithNodes else { throw TrialError("no node has noticed that commits are lost") }
            if noticed == nil { try await Task.sleep(for: .milliseconds(50)) }
        }
        try await stayHeld()
        if settings.without == .recover {
            try await database.liftHold()
        } else {
            while try await unlessAway({ try await connected().recoverRestored(by: Self.recoverer) }) == nil {}
        }
        report.restorations += 1
        try await startLostAgain()
    }

    /// As long as nobody has recovered, nothing goes on: no run is owned.
    private func stayHeld() async throws {
        for _ in 0..<20 {
            try await restartNodes(closed: lastClosed)
            try await Task.sleep(for: .milliseconds(50))
        }
        let living = try await unlessAway {
            let client = try await connected()
            return try await client.guarded { try await client.store.livingNodes() }
        }
        let sight = try await look()
        guard let living, let sight else { return }
        let ids = Set(living.map(\.id))
        guard sight.owners.values.allSatisfy({ !ids.contains($0) }) else {
            throw TrialError("a node has runs although the history has not been recovered")
        }
    }

    private func startLostAgain() async throws {
        var there: Set<RunID> = []
        var filter = RunFilter(limit: 500)
        while true {
            guard
                let page = try await unlessAway({ [filter] in
                    let client = try await connected()
                    return try await client.guarded { try await client.store.runs(filter) }
                })
            else { continue }
            there.formUnion(page.map(\.id))
            guard let last = page.last else { break }
            filter.before = last.number
        }
        let started = ear.started
        let lost = started.filter { !there.contains($0.value) }
        report.lostRuns += lost.count
        ear.forget(lost.keys)
        errands.forget(Set(lost.values))
        for node in nodes { node.asked = 0 }
        errands.repeatSignals(to: started.filter { there.contains($0.value) })
    }

    /// What no probe clears up a person does, who has looked at the other side.
    func resolveDoubts() async throws {
        guard ContinuousClock.now - lastResolved > .seconds(2), let client else { return }
        lastResolved = .now
        let entries = ledger.entries
        _ = try await unlessAway {
            let parked = try await client.guarded {
                try await client.store.runs(RunFilter(states: [.parked], limit: 500))
            }
            for record in parked {
                let events = try await client.history(of: record.id)
                for step in RunView(events).stuckSteps where step.isInDoubt {
                    try await resolve(step, of: record.id, events, entries, client)
                }
            }
        }
    }

    private func resolve(
        _ step: RunView.Step, of run: RunID, _ events: [Event], _ entries: [String: SwarmLedger.Entry], _ client: Client
    ) async throws {
        guard
            let name = events.first(where: { $0.subject == step.subject && $0.input != nil && $0.kind != .approvalRequested })
                .flatMap({ SwarmAudit.text($0.input) })
        else { return }
        let entry = entries[name], hasHappened = (step.isUndo ? entry?.undos : entry?.effects) ?? 0 > 0
        let output = step.isUndo ? Data("{}".utf8) : try JSONEncoder().encode(name)
        do {
            try await client.resolve(
                run, step: step.subject, hasHappened ? .happened(result: output) : .didNotHappen, by: Self.recoverer)
        } catch let error as PerdureError where [.stepNotStuck, .stepUnknown, .runClosed].contains(error.code) {
            // Its last attempt may still act, or somebody was faster.
        }
    }
}
