public import Perdure
import PerdureHistory
import PerdureStore

/// What a reset would do with what a run has done since.
public struct ResetPreview: Sendable, Hashable {
    /// A step, read or child that completed after the point.
    public struct Step: Sendable, Hashable {
        /// As history names it.
        public let name: String
        /// The number of the event that says that it completed.
        public let event: Int64
        /// Whether it is a child workflow.
        public let isChild: Bool
        /// It had completed before an earlier reset, which had it answer again. If the code has asked for it by the point, it stays as it
        /// is: no event tells.
        public let isAdopted: Bool
        /// What becomes of it. Where what was asked for cannot be: what becomes of it instead.
        public let choice: ResetChoice
    }

    /// In the order in which they completed.
    public let completed: [Step]
}

// Runs that go on from an earlier point of their history.
extension Client {
    /// Says what a reset would do, and sends nothing.
    ///
    /// - Throws: As `reset`.
    public func resetPreview(
        _ run: RunID, to event: Int64, completed: ResetChoice = .adopt, exceptions: [String: ResetChoice] = [:]
    ) async throws -> ResetPreview {
        let survey = try await survey(run, ResetRequest(to: event, completed: completed, exceptions: exceptions))
        return ResetPreview(
            completed: survey.completed.map {
                ResetPreview.Step(
                    name: $0.subject, event: $0.seq, isChild: $0.isChild, isAdopted: $0.isAdopted, choice: $0.choice)
            })
    }

    /// Lets the run go on as if its history ended with this event. Nothing is removed: what follows is passed over, and the code that goes
    /// on does not see it.
    ///
    /// First everything is settled that may have been sent: attempts end, what is in doubt is resolved, children that were started since
    /// are cancelled. Timers, questions and approvals that are open end, and begin anew where the code still waits for them; signals and
    /// unanswered updates since then are delivered again; a cancellation since then is forgotten. Without code that fits, what is in
    /// doubt has to be resolved first, and only typed steps that are registered with the engine can be undone.
    ///
    /// - Parameters:
    ///   - event: The number of the last event that still counts, as `show --events` prints it.
    ///   - completed: What becomes of the steps, reads and children that completed since.
    ///   - exceptions: Those of which something else is to become, by their names as `show` prints them.
    ///   - reason: Recorded in the history, for people.
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `run_expired`, `step_unknown` for an exception that did not complete
    ///   since, `payload_too_large`, or `reset_refused` if the run cannot be reset to this event. What has changed by the time the run
    ///   hears of it is refused there, in its history.
    public func reset(
        _ run: RunID, to event: Int64, completed: ResetChoice = .adopt, exceptions: [String: ResetChoice] = [:],
        reason: String? = nil, by sender: Principal
    ) async throws {
        let request = ResetRequest(to: event, completed: completed, exceptions: exceptions, reason: reason)
        _ = try await survey(run, request)
        try await send(run, .reset, payload: try encoded(request), by: sender)
    }

    private func survey(_ run: RunID, _ request: ResetRequest) async throws -> ResetSurvey {
        let record = try await record(run)
        if record.state.isFinal {
            throw PerdureError(
                .runClosed, "Run \(run) is closed; it cannot be reset any more.", metadata: [("run", run.description)])
        }
        let survey = try await view(of: run).survey(of: request)
        if let problem = survey.problem {
            throw PerdureError(
                .resetRefused, "Run \(run) cannot be reset to event \(request.to): \(problem).",
                metadata: [("run", run.description)])
        }
        let known = Set(survey.completed.map(\.subject))
        if let other = request.exceptions.keys.sorted().first(where: { !known.contains($0) }) {
            throw PerdureError(.stepUnknown, "Run \(run) has no step '\(other)' that completed after event \(request.to).")
        }
        return survey
    }
}
