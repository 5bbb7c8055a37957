public import Foundation
public import Logging

/// What a step's body knows about its attempt. Pass the key, the token and the deadline on to the other side.
///
/// Bodies, undos and probes run in tasks of their own: they see none of the workflow's task-locals.
public struct StepContext: Sendable {
    /// The run this step belongs to.
    public let runID: RunID
    /// The step within the run, as history names it.
    public let step: String
    /// Stable for this step of this run: the same on every attempt, whatever crashed in between.
    public var idempotencyKey: String { makeKey() }
    /// 1 for the first attempt. An attempt that a crash cut off uses up no number.
    public let attempt: Int
    /// Grows with everything that is sent for the run, whatever attempt of whatever step, undo or probe it is, so that the other side
    /// can refuse an older sender.
    public let fencingToken: FencingToken
    /// When the engine stops waiting for this attempt and cancels its task, on the clock of this machine.
    public let deadline: Date
    /// A logger that carries the names of the run and the step.
    public var logger: Logger { makeLogger() }
    let host: any StepHost

    // Many bodies use neither.
    private let makeKey: @Sendable () -> String
    private let makeLogger: @Sendable () -> Logger

    package init(
        runID: RunID, step: String, idempotencyKey: @autoclosure @escaping @Sendable () -> String, attempt: Int,
        fencingToken: FencingToken, deadline: Date, logger: @autoclosure @escaping @Sendable () -> Logger,
        host: any StepHost = SilentStepHost()
    ) {
        self.runID = runID
        self.step = step
        makeKey = idempotencyKey
        self.attempt = attempt
        self.fencingToken = fencingToken
        self.deadline = deadline
        makeLogger = logger
        self.host = host
    }
}

/// Orders the senders of one run: a larger epoch owns the run later, a larger sequence was sent later within it. Tokens of two runs
/// say nothing about each other.
public struct FencingToken: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Grows with every process that takes the run on, and by a lot where its history went back and was recovered.
    public let epoch: Int64
    /// Grows within the epoch with everything that is sent; not by one each time.
    public let sequence: Int64

    package init(epoch: Int64, sequence: Int64) {
        self.epoch = epoch
        self.sequence = sequence
    }

    public static func < (left: FencingToken, right: FencingToken) -> Bool {
        (left.epoch, left.sequence) < (right.epoch, right.sequence)
    }
    public var description: String { "\(epoch).\(sequence)" }
}
