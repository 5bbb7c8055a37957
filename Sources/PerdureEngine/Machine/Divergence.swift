import PerdureHistory
import PerdureStore

/// History and code do not fit. The run is blocked for this build; nothing of it is lost.
package struct Divergence: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// History has something that the code did not ask for, or asked for differently.
        case mismatch = "history_mismatch"
        /// Two tasks used one name without `id:`.
        case nameTaken = "name_taken"
        /// A name or id that cannot be recorded.
        case nameInvalid = "name_invalid"
        /// The context was used from outside the run's own tasks.
        case contextMisused = "context_misused"
        /// The code waits for something that is not recorded.
        case foreignWait = "foreign_wait"
        /// A value could not be encoded or is too large.
        case valueRefused = "value_refused"
        /// A child's workflow that nobody here hosts.
        case workflowUnknown = "workflow_unknown"
        /// A step that may have to wait for a person's word, of a workflow that nobody answers for.
        case ownerMissing = "owner_missing"
        /// A recorded event cannot be understood.
        case unreadable = "event_unreadable"
    }

    package let kind: Kind
    package let subject: String
    package let message: String

    package init(_ kind: Kind, subject: String, message: String) {
        self.kind = kind
        // Both may quote what cannot be recorded.
        self.subject = subject.legible
        self.message = message.legible
    }

    package var description: String { message }

    static let waysOut =
        "Deploy the code that this run is on, or code that asks for the same; the run then goes on by itself. Or repin it to a version "
        + "that fits, or reset it to an event that the code can follow."
}
