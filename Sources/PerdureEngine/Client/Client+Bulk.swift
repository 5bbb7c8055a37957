import Foundation
public import Perdure
import PerdureHistory
import PerdureStore

// Many runs at once: first look which, then act on exactly those.
extension Client {
    /// The runs that the selection means and for which the intervention makes sense, newest first: a dry run.
    ///
    /// - Throws: `PerdureError` with `usage` for a state that does not exist or in which the intervention makes no sense.
    public func runs(for intervention: Intervention, in selection: RunSelection) async throws -> [RunInfo] {
        let states = try states(for: intervention, in: selection)
        var found: [RunInfo] = []
        var filter = RunFilter(
            workflow: selection.workflow, version: selection.version?.description, states: states, labels: selection.labels,
            limit: 500)
        while true {
            let page = try await guarded { try await store.runs(filter) }
            found += page.map { RunInfo($0) }.filter { run in
                selection.startedBefore.map { run.createdAt < $0 } ?? true && !intervention.isDone(of: run)
            }
            guard page.count == filter.limit, let last = page.last else { return found }
            filter.before = last.number
        }
    }

    /// Does it to each of the runs, and says what became of each, in their order. A run that refuses, because it has closed meanwhile for
    /// instance, does not stop the others. Every run that accepts has the intervention and its author in its history.
    ///
    /// - Throws: `PerdureError` if the store cannot be used, and `CancellationError`; what was accepted by then stays so. To do it again is
    ///   harmless: the runs say that they were asked twice.
    public func intervene(
        _ intervention: Intervention, in runs: [RunInfo], by sender: Principal
    ) async throws -> [InterventionResult] {
        var results: [InterventionResult] = []
        for run in runs {
            try Task.checkCancellation()
            do {
                try await intervene(intervention, run.id, by: sender)
                results.append(InterventionResult(run: run, error: nil))
            } catch let error as PerdureError {
                guard error.isAboutOneRun else { throw error }
                results.append(InterventionResult(run: run, error: error))
            }
        }
        return results
    }

    private func states(for intervention: Intervention, in selection: RunSelection) throws -> [RunState] {
        guard !selection.states.isEmpty else { return intervention.states }
        return try selection.states.sorted().map { name in
            guard let state = RunState(rawValue: name), intervention.states.contains(state) else {
                let sensible = intervention.states.map(\.rawValue).joined(separator: ", ")
                throw PerdureError(
                    .usage,
                    "'\(intervention.name)' makes no sense for runs in the state '\(name)'; for these it does: \(sensible).")
            }
            return state
        }
    }

    private func intervene(_ intervention: Intervention, _ run: RunID, by sender: Principal) async throws {
        switch intervention {
        case .cancel: try await cancel(run, by: sender)
        case .terminate(let reason): try await terminate(run, reason: reason, by: sender)
        case .pause(let reason): try await pause(run, reason: reason, by: sender)
        case .unpause: try await unpause(run, by: sender)
        case .repin(let version): try await repin(run, to: version, by: sender)
        case .retry: try await retryEverything(of: run, by: sender)
        case .settleLoss(let reason): try await settleLoss(of: run, reason: reason, by: sender)
        }
    }

    private func retryEverything(of run: RunID, by sender: Principal) async throws {
        // What blocks it may be that this release cannot read it.
        if try await record(run).state == .blocked { return try await retry(run, by: sender) }
        let view = try await view(of: run)
        if view.isPoisoned { return try await retry(run, by: sender) }
        let steps = view.stuckSteps.filter { !$0.isInDoubt || $0.effect != EffectKind.atMostOnce.name }
        guard !steps.isEmpty else {
            throw PerdureError(
                .stepNotStuck, "Nothing of run \(run) can be tried again; what may have happened has to be resolved first.")
        }
        for subject in Set(steps.map(\.subject)).sorted() { try await retry(run, step: subject, by: sender) }
    }
}

extension Intervention {
    /// Whether there is nothing left to do.
    fileprivate func isDone(of run: RunInfo) -> Bool {
        if case .repin(let version) = self { return run.version == version.description }
        return false
    }
}

extension PerdureError {
    /// Whether other runs may well take what this one does not.
    fileprivate var isAboutOneRun: Bool {
        [.runUnknown, .runClosed, .runExpired, .runNotRestored, .usage, .stepNotStuck, .stepUnknown].contains(code)
            || isAboutOneHistory
    }
}
