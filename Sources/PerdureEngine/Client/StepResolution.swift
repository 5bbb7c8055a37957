public import Foundation
import Perdure
import PerdureHistory

/// How a person clears up a step in doubt or a dead letter.
public enum StepResolution: Sendable, Hashable {
    /// It happened, with this result (JSON; nothing for `act`).
    case happened(result: Data?)
    /// It did not happen and will not: it is tried again.
    case didNotHappen
    /// It happened, with this result, and is undone now.
    case undo(result: Data?)
    /// It did not happen and will not; the run fails and undoes what it did before.
    case abort

    /// It happened, with this result, which has to be of the step's type.
    ///
    /// - Throws: `PerdureError` with `value_not_encodable` or `payload_too_large`.
    public static func happened(encoding result: some Encodable) throws -> StepResolution {
        .happened(result: try encoded(result))
    }

    /// It happened, with this result, which has to be of the step's type, and is undone now.
    ///
    /// - Throws: `PerdureError` with `value_not_encodable` or `payload_too_large`.
    public static func undo(encoding result: some Encodable) throws -> StepResolution { .undo(result: try encoded(result)) }

    private static func encoded(_ result: some Encodable) throws -> Data {
        do {
            return Data(try Payload.encode(result, what: "the result of a step").bytes)
        } catch {
            throw PerdureError(error)
        }
    }
}
