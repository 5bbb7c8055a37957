/// Where an engine is killed: the moments at which a crash could lose or repeat something.
package enum Boundary: String, Codable, CaseIterable, Sendable {
    case beforeIntent = "before_intent"
    case afterIntent = "after_intent"
    case afterSend = "after_send"
    case afterEffect = "after_effect"
    case beforeOutcome = "before_outcome"
    case afterOutcome = "after_outcome"
    case unwinding
    case approval
    case timer
    case race
    case recovery
    case signalWhileDown = "signal_while_down"
    case random

    /// The same for people.
    package var title: String {
        switch self {
        case .beforeIntent: "before the intent"
        case .afterIntent: "after the intent"
        case .afterSend: "after the send"
        case .afterEffect: "after the peer's effect"
        case .beforeOutcome: "before the outcome's commit"
        case .afterOutcome: "after the outcome's commit"
        case .unwinding: "during unwinding"
        case .approval: "as an approval arrives"
        case .timer: "during a timer"
        case .race: "as a race is decided"
        case .recovery: "during recovery itself"
        case .signalWhileDown: "signal while the engine is down"
        case .random: "at random"
        }
    }
}
