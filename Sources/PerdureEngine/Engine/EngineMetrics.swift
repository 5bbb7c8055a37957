import Metrics

/// What an engine counts. Names are stable; `docs/operations.md` lists them.
struct EngineMetrics: Sendable {
    let events = Counter(label: "perdure_events_total")
    let attempts = Counter(label: "perdure_step_attempts_total")
    let attemptsFailed = Counter(label: "perdure_step_attempts_failed_total")
    let attemptsFailedByEngine = Counter(label: "perdure_step_attempts_failed_by_engine_total")
    let inDoubt = Counter(label: "perdure_steps_in_doubt_total")
    let started = Counter(label: "perdure_runs_started_total")
    let admitted = Counter(label: "perdure_runs_admitted_total")
    let closed = Counter(label: "perdure_runs_closed_total")
    let blocked = Counter(label: "perdure_runs_blocked_total")
    let quarantined = Counter(label: "perdure_runs_quarantined_total")
    let verified = Counter(label: "perdure_histories_verified_total")
    let broken = Counter(label: "perdure_histories_broken_total")
    let expired = Counter(label: "perdure_runs_expired_total")
    let archived = Counter(label: "perdure_runs_archived_total")
    let poisoned = Counter(label: "perdure_runs_poisoned_total")
    let parked = Counter(label: "perdure_runs_parked_total")
    let takeovers = Counter(label: "perdure_takeovers_total")
    let attemptsRepeated = Counter(label: "perdure_step_attempts_repeated_total")
    let swallowedEvictions = Counter(label: "perdure_swallowed_evictions_total")
    let circuitsOpened = Counter(label: "perdure_circuits_opened_total")
    let recovery = Gauge(label: "perdure_recovery_seconds")
    let resident = Gauge(label: "perdure_resident_runs")

    /// A run has ended here.
    func countEnd(of workflow: String, atFirstAttempt: Bool) {
        closed.increment()
        Counter(
            label: "perdure_workflow_runs_closed_total",
            dimensions: [("workflow", workflow), ("first_attempt", "\(atFirstAttempt)")]
        ).increment()
    }
}
