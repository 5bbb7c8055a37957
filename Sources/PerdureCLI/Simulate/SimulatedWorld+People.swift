import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Synchronization

// What people do: they send signals, cancel, approve, and look after what is stuck.
extension SimulatedWorld {
    func plan(errands order: SimulationPlan.Order, to run: RunID, _ client: Client) {
        for (number, delay) in order.signals.enumerated() {
            errand(after: delay) { [self] in
                for _ in 0..<order.deliveries { await signal(run, "nudge-\(number)", client) }
            }
        }
        if let delay = order.cancelledAfter {
            errand(after: delay) { [self] in await insist { try await client.cancel(run, by: Self.person) } }
        }
        if let delay = order.terminatedAfter {
            errand(after: delay) { [self] in await insist { try await client.terminate(run, by: Self.person) } }
        }
    }

    private func errand(after delay: Int, _ work: @escaping @concurrent @Sendable () async -> Void) {
        state.withLock { $0.errands += 1 }
        Task(executorPreference: simulation.tests.tasks) { [self] in
            try? await simulation.sleep(for: .milliseconds(delay))
            await work()
            state.withLock { $0.errands -= 1 }
        }
    }

    /// Repeats what may not have been heard.
    ///
    /// - Returns: How often nobody knew whether it was taken, and whether it was at last.
    @discardableResult
    private func insist(_ send: @concurrent @Sendable () async throws -> Void) async -> (unsure: Int, isTaken: Bool) {
        var unsure = 0
        while true {
            do {
                try await send()
                return (unsure, true)
            } catch let error as PerdureError where error.code == .storeUnavailable {
                unsure += 1
                try? await simulation.sleep(for: .milliseconds(20))
            } catch {
                gate.tell("people are refused: \(error)")
                return (unsure, false)
            }
        }
    }

    private func signal(_ run: RunID, _ id: String, _ client: Client) async {
        let told = await insist { try await client.signal(run, SwarmRun.Nudge.self, 1, id: id, by: Self.person) }
        state.withLock { state in
            // The second of two with the same id says nothing.
            guard state.said.insert("\(run) \(id)").inserted else { return }
            if told.isTaken { state.signals[run, default: (0, 0)].sure += 1 }
            if !told.isTaken, told.unsure > 0 { state.signals[run, default: (0, 0)].unsure += 1 }
        }
    }

    // MARK: Looking after runs

    /// Decides on what is to be approved, or leaves it until it expires. Some end in the same breath what the action is for.
    func approve(_ auditor: Client, _ client: Client) async throws {
        for approval in try await auditor.pendingApprovals() {
            let fate = state.withLock { state -> (mood: Int, delay: Int, regret: Int)? in
                guard state.said.insert("\(approval.run) \(approval.step) \(approval.requestedAt)").inserted else { return nil }
                return (
                    Int.random(in: 0..<100, using: &state.mood), Int.random(in: 0...1_000, using: &state.mood),
                    Int.random(in: 0..<8, using: &state.mood)
                )
            }
            guard let fate, fate.mood < 80 else { continue }
            errand(after: fate.delay) { [self] in
                gate.tell("a person \(fate.mood < 60 ? "approves" : "denies") \(approval.step) of \(approval.run)")
                await insist { try await client.decide(approval, approve: fate.mood < 60, by: Self.approver) }
                switch fate.regret {
                case 0: await insist { try await client.cancel(approval.run, by: Self.person) }
                case 1, 2: await insist { try await client.terminate(approval.run, by: Self.person) }
                default: break
                }
            }
        }
    }

    /// Says of every step in doubt what is true, and moves what is stuck.
    ///
    /// - Returns: Whether a step was in doubt.
    @discardableResult
    func help(_ record: RunRecord, _ auditor: Client, _ client: Client) async throws -> Bool {
        let events = try await auditor.history(of: record.id)
        let view = RunView(events), steps = view.steps.filter { record.state.isFinal ? $0.isInDoubt : $0.isStuck }
        for step in steps {
            if let quiet = step.quietAfter, simulation.now < quiet { continue }
            // Whoever was refused, because the run was just being ended, says it again.
            let refusals = events.count { $0.kind == .operatorAction && $0.subject == step.subject }
            let word = "\(record.id) \(step.subject) \(step.lastSeq) \(refusals)"
            let mood = state.withLock { state -> Int? in
                guard state.said.insert(word).inserted else { return nil }
                state.decisions += 1
                return Int.random(in: 0..<100, using: &state.mood)
            }
            guard let mood else { continue }
            let answer = step.isInDoubt ? truth(of: step, events, view.children) : Self.way(out: step, mood)
            gate.tell("a person says of \(step.subject) of \(record.id): \(answer.map { "\($0)" } ?? "try again")")
            errand(after: 0) { [self] in
                let told = await insist {
                    if let answer {
                        try await client.resolve(record.id, step: step.subject, answer, reason: "looked", by: Self.person)
                    } else {
                        try await client.retry(record.id, step: step.subject, by: Self.person)
                    }
                }
                // Whoever was too early says it again.
                if !told.isTaken { state.withLock { _ = $0.said.remove(word) } }
            }
        }
        return !steps.isEmpty
    }

    /// What somebody does about a step that surely did not happen and that is not tried any more. nil tries it again.
    private static func way(out step: RunView.Step, _ mood: Int) -> StepResolution? {
        switch mood {
        case 0..<60: nil
        case 60..<85: .didNotHappen
        default: step.isUndo ? nil : .abort
        }
    }

    /// What a person finds out who looks at the other side.
    private func truth(of step: RunView.Step, _ events: [Event], _ children: [RunView.Child]) -> StepResolution {
        let child = children.first { $0.subject == step.subject }?.run.description
        guard let name = child ?? thing(of: step, events) else { return .didNotHappen }
        let entry = peer.ledger.entries[name]
        guard (step.isUndo ? entry?.undos : entry?.effects) ?? 0 > 0 else { return .didNotHappen }
        return .happened(result: step.isUndo ? nil : try? JSONEncoder().encode(name))
    }

    /// The name of what a step does, or its undo takes back.
    private func thing(of step: RunView.Step, _ events: [Event]) -> String? {
        let own = events.filter { $0.subject == step.subject }
        if step.isUndo { return own.compactMap { SwarmAudit.text($0.output) }.last }
        guard let input = own.compactMap({ SwarmAudit.text($0.input) }).last, SwarmRun.sharedKeys.contains(input) else {
            return own.compactMap { SwarmAudit.text($0.input) }.last
        }
        // Of what all runs share, that which stands: nobody else can have done it meanwhile.
        let shared = SwarmLedger.sharedThing(input)
        return peer.ledger.entries.filter { $0.key.hasPrefix(shared) && $0.value.effects > $0.value.undos }.keys.sorted().first
    }
}
