/// Why a batch was not taken.
package enum ExportFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The receiver will never take it.
    case refused(String)
    /// It could not be reached, or had no room, for as long as batches are tried again. Later it may take it.
    case unavailable(String)
    /// The exporter does not run, is ending, or has no receiver for the signal.
    case stopped
    /// The caller's task was cancelled.
    case cancelled

    package var description: String {
        switch self {
        case .refused(let reason): "the receiver refuses it: \(reason)"
        case .unavailable(let reason): "the receiver cannot take it now: \(reason)"
        case .stopped: "the exporter does not run"
        case .cancelled: "it was no longer wanted"
        }
    }
}
