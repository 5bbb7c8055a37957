/// What an exported history says of its run beside the events: as much of a run's row as it takes to check the history and to replay it
/// without the store that it comes from.
package struct ExportedRun: Hashable, Sendable {
    /// What is left of a run whose history was removed.
    package struct Expired: Hashable, Sendable {
        package var at: Timestamp
        /// The last event before `run.expired`, which continues its hash.
        package var lastSeq: Int64
        package var lastHash: EventHash

        package init(at: Timestamp, lastSeq: Int64, lastHash: EventHash) {
            self.at = at
            self.lastSeq = lastSeq
            self.lastHash = lastHash
        }
    }

    /// Public id of the run.
    package var id: String
    package var namespace: String
    package var workflow: String
    package var version: String
    package var key: String?
    package var state: String
    /// Grows with every change of owner.
    package var epoch: Int64
    package var inputDigest: String
    /// Without it digests cannot be compared, and random numbers of the run cannot be drawn again.
    package var salt: [UInt8]?
    package var createdAt: Timestamp
    package var closedAt: Timestamp?
    /// Why the run stands still, as a sentence.
    package var note: String?
    /// The run that this one was continued as.
    package var successor: String?
    package var expired: Expired?
    /// Its owner had died when the history was exported, and nobody had taken the run over.
    package var isOrphaned: Bool

    package init(
        id: String, namespace: String, workflow: String, version: String, key: String? = nil, state: String, epoch: Int64 = 0,
        inputDigest: String, salt: [UInt8]? = nil, createdAt: Timestamp, closedAt: Timestamp? = nil, note: String? = nil,
        successor: String? = nil, expired: Expired? = nil, isOrphaned: Bool = false
    ) {
        self.id = id
        self.namespace = namespace
        self.workflow = workflow
        self.version = version
        self.key = key
        self.state = state
        self.epoch = epoch
        self.inputDigest = inputDigest
        self.salt = salt
        self.createdAt = createdAt
        self.closedAt = closedAt
        self.note = note
        self.successor = successor
        self.expired = expired
        self.isOrphaned = isOrphaned
    }

    /// What the first event of the export continues.
    package var start: ChainHead {
        guard let expired else { return .start(namespace: namespace, run: id) }
        return ChainHead(seq: expired.lastSeq, at: .distantPast, hash: expired.lastHash)
    }
}
