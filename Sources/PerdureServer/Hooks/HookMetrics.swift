internal import CoreMetrics
internal import Metrics

/// What is counted of webhooks. Names are stable; `docs/operations.md` lists them.
struct HookMetrics: Sendable {
    private let due = Gauge(label: "perdure_webhooks_due")
    private let late = Gauge(label: "perdure_webhooks_late_seconds")

    /// - Parameters:
    ///   - due: How many deliveries wait for nothing but their turn, as far as was looked.
    ///   - late: How long the first of them has waited.
    func record(due: Int, late: Duration) {
        self.due.record(due)
        self.late.record(max(0, late / .seconds(1)))
    }

    func count(_ outcome: HookOutcome) {
        Counter(label: "perdure_webhook_tries_total", dimensions: [("outcome", outcome.label)]).increment()
    }

    func countGivenUp() { Counter(label: "perdure_webhooks_given_up_total").increment() }

    func countReceived(_ outcome: String) {
        Counter(label: "perdure_webhooks_received_total", dimensions: [("outcome", outcome)]).increment()
    }
}
