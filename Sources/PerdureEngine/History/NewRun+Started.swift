package import Perdure
package import PerdureHistory
package import PerdureStore

extension NewRun {
    /// The row of a run and the first event of its history. Without an owner, whoever hosts the workflow takes it on.
    ///
    /// - Parameters:
    ///   - input: Has been checked to be readable by the workflow.
    ///   - build: Of the process that starts the run.
    ///   - node: The node that starts it, if one does.
    ///   - isOwned: Whether that node owns it from the beginning; never where the options name a queue.
    package init(
        _ workflow: RegisteredWorkflow, input: Payload, options: StartOptions, namespace: String, by sender: Principal,
        build: String? = nil, node: NodeID? = nil, isOwned: Bool = false, now: Timestamp, random: () -> UInt64
    ) {
        let id = RunID(milliseconds: now.microseconds / 1_000, random: (random(), random()))
        let salt = makeSalt(random)
        let record = RunRecord(
            id: id, namespace: namespace, workflow: workflow.name, version: workflow.version.description, key: options.key,
            inputDigest: SaltedDigest.hex(salt: salt, canonicalBytes: input.bytes), salt: salt,
            state: options.queue != nil ? .queued : isOwned ? .running : .ready,
            epoch: isOwned ? 1 : 0, owner: isOwned ? node : nil,
            wakeAt: options.queue == nil ? nil : options.deadline.map { now + $0 }, createdAt: now)
        let attributes = Attributes.make(
            ("workflow", .string(record.workflow)), ("version", .string(record.version)),
            ("key", options.key.map(JSONValue.string)), ("labels", options.labels?.json),
            ("deadline", options.deadline.map { JSONValue(now + $0) }), ("queue", options.queue?.json), ("by", JSONValue(sender)),
            ("build", .string(build ?? BuildFingerprint.current)), ("node", node.map { .string($0.rawValue) }))
        var head = ChainHead.start(namespace: namespace, run: id.description)
        let event = head.append(
            EventDraft(.runStarted, attributes: attributes, input: .inline(input.bytes)), run: id.description, now: now)
        self.init(record: record, events: [event], place: options.queue)
    }
}

/// What a run is started with beside its input, checked.
package struct StartOptions: Sendable {
    package let key: String?
    package let labels: Labels?
    package let deadline: Duration?
    /// The place in a queue that the run waits in.
    package let queue: QueuePlace?

    /// - Throws: `PerdureError` with `name_invalid` or `label_invalid`.
    package init(
        key: String?, labels: [String: String], deadline: Duration?, queue: QueuePlace? = nil
    ) throws(PerdureError) {
        self.key = key.map(Name.normalized)
        if let key = self.key, !Name.isKey(key) {
            throw PerdureError(
                .nameInvalid, "The workflow key cannot be recorded: use 1 to 256 bytes of text without control characters.")
        }
        self.labels = labels.isEmpty ? nil : try Labels(labels)
        self.deadline = deadline.map { max($0, .milliseconds(1)) }
        if let flaw = queue?.flaw { throw PerdureError(.nameInvalid, "\(flaw).") }
        self.queue = queue
    }
}

/// What the digests of a run's values are salted with: 128 bits.
func makeSalt(_ random: () -> UInt64) -> [UInt8] {
    [random(), random()].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
}
