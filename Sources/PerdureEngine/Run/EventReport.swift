import CoreMetrics
import Logging
import Perdure
import PerdureHistory

/// Tells logs and metrics what an operator should hear of when it has become durable: attempts that fail, steps in doubt, parked runs.
/// Of all other events it looks at the kind only.
struct EventReport: Sendable {
    let logger: Logger
    let metrics: EngineMetrics

    func tell(_ events: [Event], of run: RunID, workflow: String) {
        for event in events {
            let failure = event.failedAttempt
            if failure != nil { metrics.attemptsFailed.increment() }
            if failure == .ofEngine { metrics.attemptsFailedByEngine.increment() }
            switch event.kind {
            case .stepAttemptFailed, .undoAttemptFailed, .undoFailed:
                logger.warning("an attempt failed", metadata: Self.metadata(event, run, workflow))
            case .stepFailed where failure != nil:
                // The workflow is told and decides: it may be a case that the business knows.
                logger.info("an attempt failed", metadata: Self.metadata(event, run, workflow))
            case .stepInDoubt, .undoInDoubt:
                // Said again only because a probe does not know yet.
                if event.attribute("probe_tries") != nil { continue }
                metrics.inDoubt.increment()
                logger.warning("a step is in doubt", metadata: Self.metadata(event, run, workflow))
            case .runParked:
                metrics.parked.increment()
                logger.warning("a run is parked", metadata: Self.metadata(event, run, workflow))
            default:
                break
            }
        }
    }

    /// Names and facts. What an error said of itself stays in the history: nobody has looked whether it may be logged.
    private static func metadata(_ event: Event, _ run: RunID, _ workflow: String) -> Logger.Metadata {
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        var metadata: Logger.Metadata = ["run": "\(run)", "workflow": "\(workflow)"]
        if !event.subject.isEmpty { metadata["step"] = "\(event.subject)" }
        if event.kind.rawValue.hasPrefix("undo.") { metadata["undo"] = "true" }
        for name in ["type", "reason"] {
            if let text = attributes[name]?.stringValue, !text.isEmpty { metadata[name] = "\(text)" }
        }
        if let attempt = attributes["attempt"]?.integerValue { metadata["attempt"] = "\(attempt)" }
        if let isDefinite = attributes["definite"]?.boolValue { metadata["definite"] = "\(isDefinite)" }
        if let next = attributes.timestamp("next_at") { metadata["next_at"] = "\(next)" }
        return metadata
    }
}
