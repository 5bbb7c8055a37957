import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// Why a run is in memory without its code: to undo what is to be undone.
package struct StandInDuty: Sendable {
    let steps: StepRegistry
    /// The messages that have led to it. They stay unread until it is over, so that somebody comes for the run if this process dies.
    let held: [Int64]
    /// Where the run goes when it is over, or when something else is to be done with it.
    let home: RunTransition
}

extension Activation.State {
    /// Messages are taken in by others. One that no code is needed for is not kept waiting; one that ends the run not even by a body.
    mutating func notice(_ rows: [InboxRow], _ duty: StandInDuty) {
        for row in rows where row.delivery.kind.needsNoCode && !duty.held.contains(row.number) {
            mustStandDown = true
            if row.delivery.kind == .terminate { mustHandOver = true }
        }
    }
}

/// How an undo without the run's code begins.
enum StandInCall {
    case call(StepCall)
    case unreadable(AttemptFailure)
}

extension Activation {
    /// An attempt to undo without the run's code. One whose record cannot be read as the step's type is a matter for a person.
    func standInCall(_ attempt: Attempt) -> StandInCall? {
        guard let (type, input) = state.withLock({ $0.machine.standInCall(attempt.operation) }) else { return nil }
        do {
            return .call(try type.call(input))
        } catch {
            return .unreadable(
                AttemptFailure(
                    typeName: "\(Swift.type(of: error))", message: "\(error)", isDefinite: true, isRetryable: false))
        }
    }
}
