package import Perdure
import PerdureHistory

/// The number of an operation within one activation, in the order in which the code asked. Not an identity: a replay may number
/// differently. The identity is the subject.
package struct OperationID: Hashable, Sendable, Comparable {
    package let number: Int
    package static func < (left: OperationID, right: OperationID) -> Bool { left.number < right.number }
    /// The run itself, which has a time of its own: its deadline.
    static let run = OperationID(number: -1)
}

/// How a wait of the code ends.
package enum Answer: Sendable, Hashable {
    /// A recorded value, as canonical JSON.
    case value([UInt8])
    /// A message that wants a reply under its id.
    case update(id: String, payload: [UInt8])
    /// Something without a value has come about.
    case done
    case failure(StepFailure)
    /// `CancellationError`.
    case cancelled
}

/// A step as the code asks for it, without its closures.
package struct StepRequest: Sendable {
    /// How a completed step is undone.
    package enum Undo: Sendable, Hashable {
        case idempotent
        case atMostOnce(hasProbe: Bool)
        case transactional
    }

    package var subject: String
    package var name: String
    /// The path of the scope it belongs to.
    package var scope: String
    package var effect: EffectKind
    package var policy: StepPolicy
    package var hasProbe: Bool
    package var undo: Undo?
    package var irreversible: String?
    package var approval: ApprovalRequirement?
    package var businessKey: String?
    /// The name of the step's type, where it is a type of its own: its undo needs nothing else of the code.
    package var stepType: String?
    /// Canonical JSON.
    package var input: [UInt8]
    /// Whether recorded input bytes mean the same to today's type: identical, or equal after decoding and encoding again.
    package var accepts: @Sendable ([UInt8]) -> Bool
    /// Says in a sentence why the bytes cannot be this step's output, or `nil` if they can. For what a person says it was.
    package var refusesOutput: @Sendable ([UInt8]) -> String?

    package init(
        subject: String, name: String, scope: String = "", effect: EffectKind, policy: StepPolicy = .default,
        hasProbe: Bool = false,
        undo: Undo? = nil, irreversible: String? = nil, approval: ApprovalRequirement? = nil, businessKey: String? = nil,
        stepType: String? = nil, input: [UInt8],
        accepts: (@Sendable ([UInt8]) -> Bool)? = nil, refusesOutput: @escaping @Sendable ([UInt8]) -> String? = { _ in nil }
    ) {
        self.subject = subject
        self.name = name
        self.scope = scope
        self.effect = effect
        self.policy = policy
        self.hasProbe = hasProbe
        self.undo = undo
        self.irreversible = irreversible
        self.approval = approval
        self.businessKey = businessKey
        self.stepType = stepType
        self.input = input
        self.accepts = accepts ?? { $0 == input }
        self.refusesOutput = refusesOutput
    }

    /// Whether an intent is committed before the body runs. A step for which this is false is *plain*.
    var needsIntent: Bool {
        effect == .atMostOnce || approval != nil || businessKey != nil || (policy.intent == .always && effect != .read)
    }

    /// Whether it, or its undo, may have to wait for a person's word, so that somebody has to answer for the workflow.
    var needsOwner: Bool {
        if case .atMostOnce? = undo { return true }
        return effect == .atMostOnce || approval != nil
    }
}

/// A question as the code asks it.
package struct QuestionRequest: Sendable {
    package var subject: String
    package var text: String
    package var approver: Approver
    package var within: Duration?
    /// Says in a sentence why the bytes are no valid answer, or `nil` if they are one.
    package var refuses: @Sendable ([UInt8]) -> String?

    package init(
        subject: String, text: String, approver: Approver, within: Duration? = nil,
        refuses: @escaping @Sendable ([UInt8]) -> String? = { _ in nil }
    ) {
        self.subject = subject
        self.text = text
        self.approver = approver
        self.within = within
        self.refuses = refuses
    }
}

/// A wait for time.
struct TimerOperation {
    enum Phase {
        /// Asked for; the run has not come to rest since.
        case requested
        /// Outstanding at rest; `timer.started` is not in history yet.
        case released
        case started
        /// The code no longer waits; the event that ends it is still to come.
        case abandoned
    }

    let subject: String
    let duration: Duration
    /// The time itself, where the code names one.
    var until: Timestamp?
    var phase = Phase.requested
    var due: Timestamp?
    var isQueued = false
}

/// A wait for a person's answer.
struct QuestionOperation {
    /// As for timers.
    enum Phase { case requested, released, asked, abandoned }

    let request: QuestionRequest
    var phase = Phase.requested
    var expires: Timestamp?
    var isQueued = false
}

/// The undoing of a scope, newest step first.
struct Unwinding {
    let scope: String
    /// Whether the code waits for its end.
    let isAwaited: Bool
}
