public import Foundation
public import Perdure
package import PerdureStore

/// What an operator can do to many runs at once.
public enum Intervention: Sendable, Hashable {
    /// `Client.cancel`.
    case cancel
    /// `Client.terminate`.
    case terminate(reason: String?)
    /// `Client.retry` of everything in the run that may be tried again: dead letters, idempotent steps in doubt, or the run itself if it is
    /// blocked or was parked because it takes its process down.
    case retry
    /// `Client.pause`.
    case pause(reason: String?)
    /// `Client.unpause`.
    case unpause
    /// `Client.repin`.
    case repin(to: WorkflowVersion)
    /// `Client.settleLoss`.
    case settleLoss(reason: String?)

    /// The word for it, as commands use it: `cancel`, `terminate`, `retry`, `pause`, `resume`, `repin` or `settle`.
    public var name: String {
        switch self {
        case .cancel: "cancel"
        case .terminate: "terminate"
        case .retry: "retry"
        case .pause: "pause"
        case .unpause: "resume"
        case .repin: "repin"
        case .settleLoss: "settle"
        }
    }

    /// The states in which it makes sense.
    package var states: [RunState] {
        switch self {
        case .cancel, .terminate, .repin, .settleLoss: [.queued, .ready, .running, .waiting, .blocked, .parked, .paused]
        case .pause: [.queued, .ready, .running, .waiting, .blocked, .parked]
        case .unpause: [.paused]
        case .retry: [.parked, .blocked]
        }
    }
}

/// Which runs a bulk intervention means. What is not given does not matter.
public struct RunSelection: Sendable, Hashable {
    /// Only runs of this workflow.
    public var workflow: String?
    /// Only runs on this version.
    public var version: WorkflowVersion?
    /// Only runs in one of these states, as `RunInfo.state` names them; empty for every state in which the intervention makes sense.
    public var states: Set<String>
    /// Only runs with all of these labels.
    public var labels: [String: String]
    /// Only runs that were started before.
    public var startedBefore: Date?

    /// Selects the runs that fit in everything that is given.
    public init(
        workflow: String? = nil, version: WorkflowVersion? = nil, states: Set<String> = [], labels: [String: String] = [:],
        startedBefore: Date? = nil
    ) {
        self.workflow = workflow
        self.version = version
        self.states = states
        self.labels = labels
        self.startedBefore = startedBefore
    }
}

/// What became of one run in a bulk intervention.
public struct InterventionResult: Sendable {
    /// The run as it was when it was selected.
    public let run: RunInfo
    /// Why nothing was sent to it; `nil` if the intervention is accepted.
    public let error: PerdureError?
}
