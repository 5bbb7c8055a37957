package import Perdure
package import PerdureHistory

/// Where a run stands: the part of its row that decides who may move it.
package enum RunState: String, Sendable, CaseIterable, Codable {
    /// Waits for its turn in a queue; nobody owns it, and none of its code has run.
    case queued
    /// Can go on as soon as a node takes it.
    case ready
    /// Owned by a node.
    case running
    /// Waits for time, a signal, a person; nobody owns it.
    case waiting
    /// History and code do not fit, or the code asked for something that cannot be; waits for another build.
    case blocked
    /// Nothing but a person's decision can move it.
    case parked
    /// Stopped by an operator.
    case paused
    /// Its hash chain is broken. Never executed.
    case quarantined
    case completed, failed, cancelled, terminated

    package var isFinal: Bool {
        switch self {
        case .completed, .failed, .cancelled, .terminated: true
        default: false
        }
    }
}

/// One run's row: what is needed to find, claim and wake it. Everything else is in its history.
package struct RunRecord: Sendable, Hashable {
    /// Small and sequential, meaningful inside this store only.
    package var number: Int64
    package var id: RunID
    package var namespace: String
    package var workflow: String
    package var version: String
    /// The caller's key, unique among the namespace's runs of this workflow.
    package var key: String?
    /// SHA-256 over salt and canonical input: tells "same key, same input" from a conflict.
    package var inputDigest: String
    /// 16 random bytes that keep digests of small values from being guessed.
    package var salt: [UInt8]
    package var state: RunState
    /// Grows with every change of owner.
    package var epoch: Int64
    /// The node that owns the run: set while `state` is `running`, and while a terminated run is lent out.
    package var owner: NodeID?
    /// When an unowned run becomes due by itself; of a queued run, its deadline.
    package var wakeAt: Timestamp?
    package var createdAt: Timestamp
    package var closedAt: Timestamp?
    /// Why the run is blocked, parked, paused or quarantined, as a sentence.
    package var note: String?
    /// Set once the run has expired: its history is gone but for `run.expired`.
    package var tombstone: Tombstone?
    /// The run that began the chain of continued runs that this one is part of; nil for the first one.
    package var origin: RunOrigin?
    /// The run that this one was continued as. Then it is `completed`, and its key is the successor's.
    package var successor: RunID?
    /// The queue that it began in, by its number inside this store. What place it wanted stands in its first event.
    package var queue: Int64?
    /// Whether its code may be executed. Only of a run with a queue it can be false: until it is admitted. It stays true for good.
    package var isAdmitted: Bool

    package init(
        number: Int64 = 0, id: RunID, namespace: String, workflow: String, version: String, key: String?, inputDigest: String,
        salt: [UInt8],
        state: RunState, epoch: Int64 = 0, owner: NodeID? = nil, wakeAt: Timestamp? = nil, createdAt: Timestamp,
        closedAt: Timestamp? = nil, note: String? = nil, tombstone: Tombstone? = nil,
        origin: RunOrigin? = nil, successor: RunID? = nil, queue: Int64? = nil, isAdmitted: Bool = true
    ) {
        self.number = number
        self.id = id
        self.namespace = namespace
        self.workflow = workflow
        self.version = version
        self.key = key
        self.inputDigest = inputDigest
        self.salt = salt
        self.state = state
        self.epoch = epoch
        self.owner = owner
        self.wakeAt = wakeAt
        self.createdAt = createdAt
        self.closedAt = closedAt
        self.note = note
        self.tombstone = tombstone
        self.origin = origin
        self.successor = successor
        self.queue = queue
        self.isAdmitted = isAdmitted
    }

    /// The first run of the chain that this one is part of.
    package var chain: RunOrigin { origin ?? RunOrigin(run: id, salt: salt, inputDigest: inputDigest) }

    /// Whether the chain of runs that this one is part of was started with this input, in canonical form.
    package func wasStarted(with input: [UInt8]) -> Bool {
        SaltedDigest.hex(salt: chain.salt, canonicalBytes: input) == chain.inputDigest
    }

    /// How the state is shown.
    package var stateName: String { successor == nil ? state.rawValue : "continued" }
}

/// The first run of a chain, with what tells whether a start of the same key is the same start.
package struct RunOrigin: Sendable, Hashable {
    package var run: RunID
    package var salt: [UInt8]
    package var inputDigest: String

    package init(run: RunID, salt: [UInt8], inputDigest: String) {
        self.run = run
        self.salt = salt
        self.inputDigest = inputDigest
    }
}

/// The name of one start of one process. Never used again, so that an old process cannot be taken for a living one.
package struct NodeID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package var description: String { rawValue }
}

/// What a node says of itself when it starts.
package struct NodeRegistration: Sendable, Hashable {
    package var id: NodeID
    /// The fingerprint of the executable.
    package var build: String
    package var host: String
    package var processID: Int32
    /// The workflows that it has code for.
    package var hosted: [ClaimRequest.Hosted]
    /// Which histories it verifies, and how often, if it shares that with others: with those that say the very same. Where only one process
    /// has the store it is not kept.
    package var verifies: String?

    package init(
        id: NodeID, build: String, host: String, processID: Int32, hosted: [ClaimRequest.Hosted] = [], verifies: String? = nil
    ) {
        self.id = id
        self.build = build
        self.host = host
        self.processID = processID
        self.hosted = hosted
        self.verifies = verifies
    }
}

/// A node that has not ended, as its store sees it.
package struct NodeStanding: Sendable, Hashable {
    package var registration: NodeRegistration
    /// When it registered.
    package var since: Timestamp
    /// How many runs it owns at this moment.
    package var ownedRuns: Int
    /// Where nodes have leases: when it renewed its own last, as far as the store can tell.
    package var renewedAt: Timestamp?
    /// Its lease is over on the store's clock, and nobody has ended it yet. It may have died, and may still renew.
    package var isOverdue: Bool
    /// The server has started or changed, and the node has not looked yet whether all is there that it was told is durable. Nobody begins
    /// anything before it has, or has ended.
    package var isAwaited: Bool

    package init(
        registration: NodeRegistration, since: Timestamp, ownedRuns: Int, renewedAt: Timestamp? = nil, isOverdue: Bool = false,
        isAwaited: Bool = false
    ) {
        self.registration = registration
        self.since = since
        self.ownedRuns = ownedRuns
        self.renewedAt = renewedAt
        self.isOverdue = isOverdue
        self.isAwaited = isAwaited
    }
}

/// One run, by what is known of it.
package enum RunSearch: Sendable, Hashable {
    case id(RunID)
    case number(Int64)
    /// The last run of the chain that this one began.
    case endOfChain(begunBy: RunID)
}

/// Which runs to list.
package struct RunFilter: Sendable, Hashable {
    package var namespace: String?
    package var workflow: String?
    package var version: String?
    /// Empty means every state.
    package var states: [RunState]
    /// Only runs with all of these labels.
    package var labels: [String: String] = [:]
    /// Only runs with a smaller number: the last one of the page before.
    package var before: Int64?
    package var limit: Int

    package init(
        namespace: String? = nil, workflow: String? = nil, version: String? = nil, states: [RunState] = [],
        labels: [String: String] = [:], before: Int64? = nil, limit: Int = 100
    ) {
        self.labels = labels
        self.namespace = namespace
        self.workflow = workflow
        self.version = version
        self.states = states
        self.before = before
        self.limit = limit
    }
}

/// How many runs of one version of a workflow there are in each state that any is in.
package struct VersionCounts: Sendable, Hashable {
    package var workflow: String
    package var version: String
    package var runs: [RunState: Int]

    package init(workflow: String, version: String, runs: [RunState: Int]) {
        self.workflow = workflow
        self.version = version
        self.runs = runs
    }
}

/// Which open requests to list.
package struct RequestQuery: Sendable, Hashable {
    package var namespace: String?
    /// `approval.requested` or `question.asked`; nil means both.
    package var kind: EventKind?
    /// Only requests with a larger number: the last one of the page before.
    package var after: Int64
    package var limit: Int

    package init(namespace: String? = nil, kind: EventKind? = nil, after: Int64 = 0, limit: Int) {
        self.namespace = namespace
        self.kind = kind
        self.after = after
        self.limit = limit
    }
}

/// An approval or question that waits for a person.
package struct OpenRequest: Sendable, Hashable {
    /// Its place in the order of the list. Where several nodes share the store, one that was asked for at the same time may still appear
    /// in front of it.
    package var number: Int64
    package var run: RunRecord
    /// `approval.requested` or `question.asked`.
    package var event: Event

    package init(number: Int64, run: RunRecord, event: Event) {
        self.number = number
        self.run = run
        self.event = event
    }
}
