import Perdure
package import PerdureHistory
package import PerdureStore

extension NewRun {
    /// The run that continues another one, which nobody owns yet, for the commit of the event that closes that one.
    ///
    /// - Parameter epoch: The one in which that one is closed.
    package init(
        _ successor: SuccessorStart, of run: RunIdentity, epoch: Int64, chain: RunOrigin, build: String, node: String,
        now: Timestamp, random: () -> UInt64
    ) {
        let salt = makeSalt(random)
        let record = RunRecord(
            id: successor.id, namespace: run.namespace, workflow: run.workflow, version: successor.version, key: successor.key,
            inputDigest: SaltedDigest.hex(salt: salt, canonicalBytes: successor.input), salt: salt, state: .ready,
            epoch: Restoration.epoch(ofRunMadeIn: epoch, atLeast: successor.firstEpoch), createdAt: now, origin: chain)
        let labels = JSONObject(successor.labels.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) })
        let attributes = Attributes.make(
            ("workflow", .string(run.workflow)), ("version", .string(successor.version)),
            ("key", successor.key.map(JSONValue.string)), ("labels", JSONValue.object(labels).when(!labels.members.isEmpty)),
            ("deadline", successor.deadline.map { JSONValue($0) }), ("by", JSONValue(successor.starter)),
            ("queue", successor.place?.json), ("parent", successor.parent?.json),
            ("continues", ContinuedRun(run: successor.previous, first: successor.first).json),
            ("build", .string(build)), ("node", .string(node)))
        var head = ChainHead.start(namespace: run.namespace, run: successor.id.description)
        let event = head.append(
            EventDraft(.runStarted, attributes: attributes, input: .inline(successor.input)), run: successor.id.description,
            now: now)
        let lost = successor.lostPart.map { head.append($0.event, run: successor.id.description, now: now) }
        self.init(record: record, events: [event] + (lost.map { [$0] } ?? []))
    }
}
