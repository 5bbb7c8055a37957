package import Perdure
package import PerdureHistory
package import PerdureStore

/// How an attempt of a step or undo ended in this process.
package enum AttemptOutcome: Sendable, Hashable {
    /// Canonical JSON.
    case succeeded([UInt8])
    /// It returned, but what it returned cannot be recorded.
    case unrecordable(String)
    case failed(AttemptFailure)
}

/// What is recorded of an error that a body threw.
package struct AttemptFailure: Sendable, Hashable {
    package var typeName: String
    package var message: String
    /// The error as canonical JSON, if it is `Codable`.
    package var payload: [UInt8]?
    package var isDefinite: Bool
    package var isRetryable: Bool
    package var retryAfter: Duration?

    package init(
        typeName: String, message: String, payload: [UInt8]? = nil, isDefinite: Bool = false, isRetryable: Bool = true,
        retryAfter: Duration? = nil
    ) {
        self.typeName = typeName
        self.message = message
        self.payload = payload
        self.isDefinite = isDefinite
        self.isRetryable = isRetryable
        self.retryAfter = retryAfter
    }
}

/// What a probe found.
package enum ProbeOutcome: Sendable, Hashable {
    case happened([UInt8])
    case didNotHappen
    case partly(String)
    case unknown(String)
}

/// Something that came about outside the run and has to become an event.
package enum Fact: Sendable {
    case attemptEnded(OperationID, AttemptOutcome)
    case probeEnded(OperationID, ProbeOutcome)
    case due(OperationID)
    case inbox(InboxRow)
    /// The store refused an intent because another run holds the business key.
    case keyHeld(OperationID, BusinessKeyRecord)
    /// The run was watched, and its process lives.
    case survived
}

/// What a plan wants done once nothing needs to be recorded first.
package enum RunAction: Sendable, Hashable {
    case run(OperationID)
    case probe(OperationID)
    /// The code no longer wants the step; its body may stop early.
    case tellBodyToStop(OperationID)
    /// Ask the step's resource whether the next attempt may begin.
    case admit(OperationID)
    /// Ask the store to be told when the business key's holder settles.
    case awaitKey(OperationID)
}

/// What is to be committed together, in this order.
package struct Drafts: Sendable {
    package var events: [EventDraft] = []
    package var consumed: [Int64] = []
    package var takes: [BusinessKeyTake] = []
    package var settles: [BusinessKeySettlement] = []
    /// Runs that `child.started` events speak of.
    package var children: [ChildStart] = []
    /// Messages to parents and children.
    package var deliveries: [Delivery] = []
    /// The run that `run.continued` names.
    package var successor: SuccessorStart?

    package var isEmpty: Bool { events.isEmpty && consumed.isEmpty }

    mutating func append(_ other: Drafts) {
        events += other.events
        consumed += other.consumed
        takes += other.takes
        settles += other.settles
        children += other.children
        deliveries += other.deliveries
        successor = successor ?? other.successor
    }
}

/// Everything needed to run one attempt.
package struct Attempt: Sendable, Hashable {
    package enum Body: Sendable, Hashable { case step, undo, stepProbe, undoProbe }

    package var operation: OperationID
    /// Whose closures are called: for an undo, the step it undoes.
    package var source: OperationID
    package var body: Body
    package var subject: String
    package var number: Int
    /// Derived when it is asked for: not every body needs it.
    package var idempotencyKey: String { keySource.key }
    package var keySource: IdempotencyKeySource
    package var deadline: Timestamp
    /// For an undo: the recorded output of the step.
    package var output: [UInt8]
    /// Whether an owner before this one has begun it, or may have.
    package var isRepeated = false
    /// Whether it is begun only where nobody else can have the run.
    package var needsLease = false
    /// Where the step stood when this began.
    package var begunFrom: StepPhase
    /// How long its body may go without a heartbeat. A probe may for ever.
    package var heartbeatTimeout: Duration?
}

/// What an operation's idempotency key is derived from.
package struct IdempotencyKeySource: Sendable, Hashable {
    package var namespace: String
    package var run: RunID
    package var subject: String
    package var step: String
    package var businessKey: String?
    package var generation: Int
    package var isUndo: Bool

    package var key: String {
        let key: String
        if let businessKey {
            key = IdempotencyKey.derive(namespace: namespace, stepName: step, businessKey: businessKey, generation: generation)
        } else {
            key = IdempotencyKey.derive(namespace: namespace, run: run.description, subject: subject, generation: generation)
        }
        return isUndo ? IdempotencyKey.undo(of: key) : key
    }
}
