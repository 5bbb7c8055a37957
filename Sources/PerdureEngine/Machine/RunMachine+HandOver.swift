package import PerdureHistory

extension RunMachine {
    /// Intents for the plain steps that are being executed, so that a run that is handed over shows what may have happened even to a
    /// build that no longer has the step.
    package func handOverDrafts(now: Timestamp) -> [EventDraft] {
        guard !isReplaying, !isClosed else { return [] }
        return steps.keys.sorted().compactMap { steps[$0] }
            .filter { $0.phase == .running && !$0.isRead && !$0.isInputRecorded }
            .map { intent($0, now: now) }
    }
}
