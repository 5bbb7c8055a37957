import Foundation
package import Perdure
package import PerdureEngine
import PerdurePeer

/// The person at the console: approves what waits for approval, and clears up what is in doubt after having looked at the bank.
package actor Operator {
    private let stage: Stage
    private var client: Client?
    /// What was decided already, though no engine may have taken it in yet.
    private var decided: Set<String> = []
    private let me = Principal(.human, "ada")

    package init(_ stage: Stage) { self.stage = stage }

    package func connected() async throws -> Client {
        if let client { return client }
        let client = try await stage.client()
        self.client = client
        return client
    }

    package func leave() async { await client?.close() }

    /// Looks at a run and does what a person has to do. Returns what was done, in words.
    package func look(at run: RunID) async throws -> [String] {
        let client = try await connected()
        var done: [String] = []
        for approval in try await client.pendingApprovals(of: run) where decided.insert(approval.digest).inserted {
            do {
                try await client.decide(approval, approve: true, reason: "looks right", by: me)
                done.append("\(me.id) approves \(approval.step)")
            } catch let error as PerdureError where error.code == .approvalClosed || error.code == .runClosed {
                continue
            }
        }
        // A step in doubt that can be probed is none of a person's business yet: the run parks where it is.
        guard try await client.run(run).state == "parked" else { return done }
        for step in try await client.view(of: run).stuckSteps where step.isInDoubt {
            if let words = try await clearUp(run, step.subject, client) { done.append(words) }
        }
        return done
    }

    /// Finds out at the bank whether the charge happened, as a person would, and says so.
    private func clearUp(_ run: RunID, _ step: String, _ client: Client) async throws -> String? {
        let info = try await client.run(run)
        let order = info.key ?? ""
        let effects = stage.isDefended ? try await stage.bank.ledger.effects(of: .operation(.charge), resource: order) : []
        let resolution: StepResolution =
            try effects.first.map { .happened(result: try JSONEncoder().encode(["id": "charge-\($0.id)"])) } ?? .didNotHappen
        while true {
            do {
                try await client.resolve(run, step: step, resolution, reason: "looked it up at the bank", by: me)
                let finding = effects.isEmpty ? "did not happen" : "happened"
                return "\(me.id) has looked at the bank: \(step) of \(order) \(finding)"
            } catch let error as PerdureError where error.code == .stepNotStuck {
                // The last attempt may still act, or somebody was faster.
                guard try await client.view(of: run).stuckSteps.contains(where: { $0.subject == step && $0.isInDoubt }) else {
                    return nil
                }
                try await Task.sleep(for: .milliseconds(50))
            } catch let error as PerdureError where error.code == .runClosed {
                return nil
            }
        }
    }
}
