package import Perdure
package import PerdureHistory
package import PerdureStore

extension NewRun {
    /// A run that nobody owns yet: its row and the first event of its history. Whoever hosts the workflow takes it on.
    ///
    /// - Parameters:
    ///   - input: Has been checked to be readable by the workflow.
    ///   - build: Of the process that starts the run; another one by default than any that hosts it.
    package init(
        _ workflow: RegisteredWorkflow, input: Payload, namespace: String, key: String?, by sender: Principal,
        build: String? = nil,
        now: Timestamp, random: () -> UInt64
    ) {
        let id = RunID(milliseconds: now.microseconds / 1_000, random: (random(), random()))
        let salt = [random(), random()].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
        let record = RunRecord(
            id: id, namespace: namespace, workflow: workflow.name, version: workflow.version.description, key: key,
            inputDigest: SaltedDigest.hex(salt: salt, canonicalBytes: input.bytes), salt: salt, state: .ready, createdAt: now)
        let attributes = Attributes.make(
            ("workflow", .string(record.workflow)), ("version", .string(record.version)), ("key", key.map(JSONValue.string)),
            ("by", JSONValue(sender)), ("build", .string(build ?? BuildFingerprint.current)))
        var head = ChainHead.start(namespace: namespace, run: id.description)
        let event = head.append(
            EventDraft(.runStarted, attributes: attributes, input: .inline(input.bytes)), run: id.description, now: now)
        self.init(record: record, events: [event])
    }
}
