package import PerdureHistory

extension RunMachine {
    /// Intents for the steps that are being executed in an attempt without one, so that a run that is handed over shows what may have
    /// happened: to a build that no longer has the step, and to a process that has to know whether a step it no longer wants was sent.
    ///
    /// Steps of which a fact of the batch in the making speaks are left out: their outcomes are known.
    package func handOverDrafts(now: Timestamp) -> [EventDraft] {
        guard !isReplaying, !isClosed else { return [] }
        return steps.keys.sorted().filter { !batch.spokenFor.contains($0) }.compactMap { steps[$0] }
            .filter { $0.phase == .running && !$0.isNeverInDoubt && !$0.isAttemptIntended }
            .map { intent($0, now: now) }
    }
}
