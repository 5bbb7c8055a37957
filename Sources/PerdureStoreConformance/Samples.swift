package import Perdure
package import PerdureHistory
package import PerdureStore
internal import Synchronization

/// Ids that are unique in the process and the same in every run of it: a failure can be looked at again.
package enum Sample {
    private static let counter = Atomic<UInt64>(0)

    package static func runID() -> RunID {
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        return RunID(milliseconds: 1_770_000_000_000 + Int64(number), random: (number, number &* 0x9E37_79B9_7F4A_7C15))
    }

    package static let person = Principal(.human, "alice", authentication: "os")
    package static let start = Timestamp(microseconds: 1_770_000_000_000_000)
}

/// A run as its owner sees it: what a test needs to write the next commit.
package struct SampleRun: Sendable {
    package var record: RunRecord
    package var head: ChainHead
    /// Every event so far, as it was given to the store.
    package var events: [Event] = []
    /// The place that it wants in a queue.
    package var place: QueuePlace?

    /// A run that does not exist yet, with its first event.
    package init(
        workflow: String = "greeting", version: String = "1", namespace: String = "default", key: String? = nil,
        owner: NodeID? = nil, labels: [String: String] = [:], at: Timestamp = Sample.start, id: RunID = Sample.runID(),
        parent: SampleRun? = nil, continuing: SampleRun? = nil, input: String = #"{"name":"Ada"}"#,
        place: QueuePlace? = nil, deadline: Timestamp? = nil
    ) {
        self.place = place
        record = RunRecord(
            id: id, namespace: namespace, workflow: workflow, version: version, key: key, inputDigest: "digest",
            salt: Array(0..<16), state: place != nil ? .queued : owner == nil ? .ready : .running, epoch: owner == nil ? 0 : 1,
            owner: owner, wakeAt: deadline, createdAt: at,
            origin: continuing?.record.chain)
        head = .start(namespace: namespace, run: id.description)
        let labels = JSONValue.object(JSONObject(labels.map { ($0.key, JSONValue.string($0.value)) }))
        let link: JSONValue? = parent.map { ["run": .string($0.record.id.description), "subject": "child"] }
        let attributes = Attributes.make(("build", "b1"), ("labels", labels), ("parent", link))
        append(EventDraft(.runStarted, attributes: attributes, input: .inline(Array(input.utf8))), at: at)
    }

    package var creation: CommitItem { .create(new) }
    package var new: NewRun { NewRun(record: record, events: events, place: place) }
    package var number: Int64 { record.number }

    @discardableResult
    package mutating func append(_ draft: EventDraft, at: Timestamp = Sample.start) -> Event {
        let event = head.append(draft, run: record.id.description, now: at)
        events.append(event)
        return event
    }

    /// The commit of one more event of each draft, on top of the present head, which moves.
    package mutating func advance(
        _ drafts: [EventDraft], to transition: RunTransition? = nil, consuming consumed: [Int64] = [],
        takes: [BusinessKeyTake] = [], settles: [BusinessKeySettlement] = [], children: [SampleRun] = [],
        deliveries: [Delivery] = [], successor: SampleRun? = nil, at: Timestamp = Sample.start
    ) -> RunAdvance {
        let before = head
        let events = drafts.map { append($0, at: at) }
        return RunAdvance(
            run: number, epoch: record.epoch, head: before, events: events, transition: transition, consumed: consumed,
            takes: takes,
            settles: settles, children: children.map(\.new), deliveries: deliveries,
            successor: successor.map(\.new))
    }

    /// Goes on from what a claim gave.
    package mutating func take(over claimed: ClaimedRun) {
        record = claimed.record
        head = claimed.head
    }
}
