/// Who may claim a run because of a message that it has not read.
package enum Wake: Sendable, Hashable {
    /// Nobody: the message waits for the run's state to change.
    case nobody
    /// A node that hosts the run's workflow.
    case host
    /// Any node: what the message asks for needs no code.
    case anyone
}

extension RunState {
    /// What an unread message means for a run in this state. For a run that is owned it counts once the owner has died. Ready runs
    /// are claimed by their hosts anyway.
    ///
    /// - Parameters:
    ///   - name: the message's; a `retry` without one speaks of the whole run.
    ///   - needsRetry: see `RunTransition.needsRetry`.
    ///   - isAdmitted: see `RunRecord.isAdmitted`.
    package func wake(by kind: InboxKind, name: String, needsRetry: Bool = false, isAdmitted: Bool = true) -> Wake {
        switch (self, kind) {
        case (.completed, _), (.failed, _), (.cancelled, _), (.quarantined, _): .nobody
        case (.terminated, .resolve): .anyone
        case (.terminated, _): .nobody
        case _ where kind.needsNoCode: .anyone
        // There is nothing to be undone: to cancel it takes neither its code nor a place. One that is lent out goes back to its line.
        case (.queued, .cancel): .anyone
        case (.running, .cancel) where !isAdmitted: .anyone
        case (.paused, _): .nobody
        case (.waiting, _): .host
        // To let it try again takes no code.
        case (.parked, _) where needsRetry: kind == .retry && name.isEmpty ? .anyone : .nobody
        case (.parked, _): .host
        case (.blocked, .retry): name.isEmpty ? .host : .nobody
        // A queued run reads what else has come once it is admitted.
        case (.queued, _), (.ready, _), (.running, _), (.blocked, _): .nobody
        }
    }
}

extension InboxKind {
    /// Whether any node can take the message in, also one without the run's code.
    package var needsNoCode: Bool {
        switch self {
        case .terminate, .resolve, .pause, .unpause, .repin, .reset: true
        case .signal, .update, .decision, .answer, .cancel, .retry, .settleLoss, .keySettled, .childResult, .unreadable: false
        }
    }
}
