import Logging
import Perdure
package import PerdureHistory
package import PerdureStore
import Synchronization

/// What the live runs of one engine share.
package struct ActivationServices: Sendable {
    let store: any Store
    let journal: Journal
    let registry: WorkflowRegistry
    let runtime: EngineRuntime
    let threads: EngineThreads
    let watchdog: Watchdog
    let scheduler: Scheduler
    let resources: Resources
    let clock: StoreClock
    let random: @Sendable () -> UInt64
    let node: NodeID
    let build: String
    let payloadLimit: Int
    let logger: Logger
    let metrics: EngineMetrics
    let bodies: BodyCounter
    let bodyExecutor: BodyExecutor
    let bodyWatch: (any BodyWatch)?
    let recovery: Recovery
    /// Where several nodes share the store.
    let lease: NodeLease?
    let lead: Lead
    let inboxes: InboxLook
    let report: EventReport
    /// Told, on an engine thread, what has become of a run.
    let observe: @Sendable (Activation, ActivationEvent) -> Void
}

/// Numbers the bodies that one engine starts. One counter for all runs: a run that is read again under the same epoch, by whatever way,
/// goes on above everything that was sent for it before.
final class BodyCounter: Sendable {
    private let last = Atomic<Int64>(0)
    func next() -> Int64 { last.add(1, ordering: .relaxed).newValue }
}

/// What an engine has to know about one of its live runs.
package enum ActivationEvent: Sendable {
    /// The run, owned under this epoch, only waits now, and nobody owns it. It stays in memory until it is taken out.
    case released(epoch: Int64, wakeAt: Timestamp?)
    /// A message came for a run that had just been given up.
    case missedMail
    /// A commit of this run has given others something to do: messages, or a run that did not exist before.
    case toldOthers
    /// The run has answered the updates with these delivery ids.
    case replied([String])
    /// The run was watched for taking its process down, and history says now that it does not.
    case harmless
    /// The run has closed with this event, `atFirstAttempt` if none of its attempts failed.
    case closed(RunState, Event, atFirstAttempt: Bool)
    /// The run does not fit this build.
    case blocked(Divergence)
    /// The run is paused, or goes on with other code; it is out of memory.
    case stoodDown
    /// The store has the run on another head or under another owner than this activation believed.
    case lost
    /// Out of memory, without anything having been recorded: another node has the run, or it was asked to leave.
    case gone
}
