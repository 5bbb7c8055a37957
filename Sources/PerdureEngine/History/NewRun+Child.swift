import Perdure
package import PerdureHistory
package import PerdureStore

extension NewRun {
    /// A child that nobody owns yet, for the commit of the event that starts it.
    ///
    /// - Parameter epoch: The one in which the parent makes that commit.
    package init(
        _ child: ChildStart, epoch: Int64, namespace: String, build: String, node: String, now: Timestamp,
        random: () -> UInt64
    ) {
        let salt = makeSalt(random)
        let record = RunRecord(
            id: child.id, namespace: namespace, workflow: child.workflow, version: child.version, key: nil,
            inputDigest: SaltedDigest.hex(salt: salt, canonicalBytes: child.input), salt: salt, state: .ready,
            epoch: Restoration.epoch(ofRunMadeIn: epoch, atLeast: child.firstEpoch), createdAt: now)
        var head = ChainHead.start(namespace: namespace, run: child.id.description)
        let event = head.append(
            EventDraft(
                .runStarted,
                attributes: [
                    "workflow": .string(child.workflow), "version": .string(child.version), "by": JSONValue(child.starter),
                    "parent": child.parent.json, "build": .string(build), "node": .string(node),
                ], input: .inline(child.input)),
            run: child.id.description, now: now)
        let lost = child.lostPart.map { head.append($0.event, run: child.id.description, now: now) }
        self.init(record: record, events: [event] + (lost.map { [$0] } ?? []))
    }
}
