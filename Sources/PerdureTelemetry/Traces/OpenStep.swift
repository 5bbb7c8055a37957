internal import Perdure
internal import PerdureHistory

/// A step or an undo that is under way, with its attempt and its approval.
struct OpenStep: Sendable {
    struct Attempt: Sendable {
        var number: Int64
        var start: Timestamp
    }

    let isUndo: Bool
    let subject: String
    /// See `AttemptIdentity.epoch`, by the time it began.
    let epoch: String
    var span: OpenSpan
    var approval: OpenSpan?
    /// An attempt that an intent has announced.
    var attempt: Attempt?
    /// When the next attempt may begin at the earliest, without an event of its own.
    var nextStart: Timestamp?
    var isInDoubt = false
    /// How many attempts have ended.
    private(set) var attempts = 0
    private var last: AttemptIdentity?

    init(_ span: OpenSpan, of subject: String, isUndo: Bool, epoch: String) {
        self.span = span
        self.subject = subject
        self.isUndo = isUndo
        self.epoch = epoch
    }

    /// The next attempt, if it has this number.
    func identity(ofAttempt number: Int64) -> AttemptIdentity {
        let repetition = last.map { $0.number == number ? $0.repetition + 1 : 0 } ?? 0
        return AttemptIdentity(
            subject: subject, isUndo: isUndo, number: number, epoch: epoch, repetition: repetition)
    }

    /// Which number an attempt has whose event does not say.
    var nextNumber: Int64 { attempt?.number ?? (last?.number ?? 0) + 1 }

    /// The attempt that ends now, and its span.
    ///
    /// Only an intent tells when an attempt began. Of one that was tried again it is known from when on it could begin: its time had come,
    /// and a process was there.
    mutating func endAttempt(_ number: Int64, in run: RunTrace, at end: Timestamp) -> OpenSpan {
        let identity = identity(ofAttempt: number), recorded = attempt?.start
        let estimate = nextStart.map { max($0, run.lastAwakening) } ?? run.latestRelease
        let start = min(end, max(span.start, recorded ?? estimate))
        var attributes = [
            TelemetryAttribute(TraceAttribute.subject, subject), TelemetryAttribute(TraceAttribute.attempt, .int(number)),
        ]
        if recorded == nil { attributes.append(TelemetryAttribute(TraceAttribute.isStartEstimated, .bool(true))) }
        (attempt, nextStart, last) = (nil, nil, identity)
        attempts += 1
        return OpenSpan(
            .attempt(identity, in: run.run), in: span.id, "attempt \(Name.ofOperation(subject))", kind: .client, from: start,
            attributes)
    }
}
