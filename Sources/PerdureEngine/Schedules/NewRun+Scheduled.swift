import Perdure
import PerdureHistory
import PerdureStore

extension NewRun {
    /// A run that a schedule starts. Nobody owns it: whoever hosts the workflow takes it on.
    init(
        _ start: ScheduleTurn.Start, of document: ScheduleDocument, version: String, _ key: ScheduleKey, build: String?,
        node: NodeID?, now: Timestamp, lostPart: LostPart? = nil, random: () -> UInt64
    ) {
        let schedule = document.schedule, salt = makeSalt(random), input = Array(schedule.input)
        let workflowKey = key.workflowKey(of: start.due)
        let record = RunRecord(
            id: start.run, namespace: key.namespace, workflow: schedule.workflow, version: version, key: workflowKey,
            inputDigest: SaltedDigest.hex(salt: salt, canonicalBytes: input), salt: salt,
            state: schedule.queue == nil ? .ready : .queued,
            epoch: lostPart?.firstEpoch ?? 0,
            wakeAt: schedule.queue == nil ? nil : schedule.deadline.map { now + $0 }, createdAt: now)
        let labels = try? schedule.labels.isEmpty ? nil : Labels(schedule.labels)
        let attributes = Attributes.make(
            ("workflow", .string(record.workflow)), ("version", .string(version)), ("key", .string(workflowKey)),
            ("labels", labels?.json), ("deadline", schedule.deadline.map { JSONValue(now + $0) }),
            ("queue", schedule.queue?.json),
            ("by", JSONValue(start.cause.starter ?? document.actor)),
            ("schedule", ["id": .string(key.id), "due": JSONValue(start.due), "cause": .string(start.cause.name)]),
            ("build", .string(build ?? BuildFingerprint.current)), ("node", node.map { .string($0.rawValue) }))
        var head = ChainHead.start(namespace: key.namespace, run: start.run.description)
        let event = head.append(
            EventDraft(.runStarted, attributes: attributes, input: .inline(input)), run: start.run.description, now: now)
        let lost = lostPart.map { head.append($0.event, run: start.run.description, now: now) }
        self.init(record: record, events: [event] + (lost.map { [$0] } ?? []), place: schedule.queue)
    }
}

extension RunID {
    /// The id of the run of a due time: derived, so that one whose start is lost and made again sends under the same keys.
    static func scheduled(by key: ScheduleKey, workflow: String, due: Timestamp) -> RunID {
        let bits = ChildDerivation.bits(namespace: key.namespace, schedule: key.id, workflow: workflow, due: due.microseconds)
        return RunID(milliseconds: due.microseconds / 1_000, random: bits)
    }
}

extension ScheduleTurn.Start.Cause {
    var name: String {
        switch self {
        case .time: "time"
        case .backfill: "backfill"
        case .trigger: "trigger"
        }
    }

    /// The person who wanted the run now.
    fileprivate var starter: Principal? {
        switch self {
        case .time: nil
        case .backfill(let person), .trigger(let person): person
        }
    }
}

extension ScheduleDocument {
    /// What acts when time has come: a timer in the name of whoever set what it starts, so that nobody approves what they have had started.
    var actor: Principal { Principal(.timer, changed.by.id, authentication: changed.by.authentication) }
}
