package import Perdure
package import PerdureHistory

/// One thing to be made durable. Items of one commit share a transaction, not their fate.
package enum CommitItem: Sendable {
    case create(NewRun)
    case advance(RunAdvance)
    case deliver(Delivery)
    case beat(Heartbeat)
    case schedule(ScheduleChange)
}

/// A run that does not exist yet, with its first event. Its row's `number`, `queue` and `isAdmitted` are ignored. With an `owner` it
/// starts out owned.
package struct NewRun: Sendable {
    package var record: RunRecord
    package var events: [Event]
    /// The place that it takes in a queue of its namespace. It begins `queued` then, without an owner, and its `wakeAt` is its deadline.
    /// Only for runs that are started by themselves or by a schedule: a child has none, since its parent may wait for it in the same
    /// queue, and a successor takes its predecessor's place over.
    package var place: QueuePlace?

    package init(record: RunRecord, events: [Event], place: QueuePlace? = nil) {
        self.record = record
        self.events = events
        self.place = place
    }
}

extension NewRun {
    /// Whether a run that begins with this event is the one that this would be: a child of the same parent under the same subject, with
    /// the same input.
    package func isSameChild(asRunStartedBy first: Event) -> Bool {
        guard let own = events.first, first.kind == .runStarted, let parent = try? own.attributes.object()["parent"],
            case parent? = try? first.attributes.object()["parent"], let input = own.input
        else { return false }
        return input.isSame(as: first.input)
    }
}

extension StoredValue {
    /// Whether both are the same bytes, wherever they stand.
    fileprivate func isSame(as other: StoredValue?) -> Bool {
        switch (self, other) {
        case (.inline(let bytes), .spilled(let digest, let size)?):
            bytes.count == Int(exactly: size) && SaltedDigest.plain(bytes) == digest
        default: self == other
        }
    }
}

/// What happened in a run since its last commit.
package struct RunAdvance: Sendable {
    package var run: Int64
    /// The epoch under which the caller owns the run.
    package var epoch: Int64
    /// The last event that the new ones stand on.
    package var head: ChainHead
    /// May be empty if only the row changes.
    package var events: [Event]
    /// `nil` leaves the row as it is: the run stays owned.
    package var transition: RunTransition?
    /// Numbers of the inbox rows that the events have taken in.
    package var consumed: [Int64]
    /// Business keys that the events' intents take.
    package var takes: [BusinessKeyTake]
    /// Business keys whose steps the events settle.
    package var settles: [BusinessKeySettlement]
    /// Runs that the events start. They exist as soon as the events do; one that exists already as the child that it would be is left
    /// as it is.
    package var children: [NewRun]
    /// Messages to other runs.
    package var deliveries: [Delivery]
    /// The run that this one is continued as, if its last event says so. It has this run's key from then on.
    package var successor: NewRun?

    package init(
        run: Int64, epoch: Int64, head: ChainHead, events: [Event], transition: RunTransition? = nil, consumed: [Int64] = [],
        takes: [BusinessKeyTake] = [], settles: [BusinessKeySettlement] = [], children: [NewRun] = [],
        deliveries: [Delivery] = [], successor: NewRun? = nil
    ) {
        self.run = run
        self.epoch = epoch
        self.head = head
        self.events = events
        self.transition = transition
        self.consumed = consumed
        self.takes = takes
        self.settles = settles
        self.children = children
        self.deliveries = deliveries
        self.successor = successor
    }
}

extension RunAdvance {
    /// The last event of the run's history when this is durable.
    package var lastSeq: Int64 { events.last?.seq ?? head.seq }

    /// Why it cannot be applied to a run that was terminated: what has ended stays ended. `nil` if it can.
    package var refusalAfterEnd: CommitRefusal? {
        guard transition?.state == .terminated else {
            return .invalid("a run that was terminated can only be given back as terminated")
        }
        guard takes.isEmpty, events.allSatisfy(\.kind.mayFollowFinal) else {
            return .invalid("nothing but what may follow the end of a run can be added to a terminated one")
        }
        return nil
    }
}

/// A change of a run's state. Every state but `running` gives the run up. A run that is not admitted goes back to its line as `queued`, due
/// at its deadline, whether `ready` or `queued` is said (`RunRecord.landing`). A run that was terminated before can only be given back as
/// `terminated`: it keeps its closing time, takes in what may follow the end, and may have unread messages.
package struct RunTransition: Sendable, Hashable {
    package var state: RunState
    package var wakeAt: Timestamp?
    /// What people read beside the state. Made `legible`: it may quote the text of any error.
    package private(set) var note: String?
    /// With `blocked`: the build that does not fit, which will not claim the run again. `nil` only for a run that was blocked before
    /// and that no build has carried on since: it stays blocked for those builds.
    package var blockedBuild: String?
    /// With `parked`: of all messages only a `retry` of the whole run wakes it, and those that need no code.
    package var needsRetry: Bool
    /// The version whose code carries the run on from here; `nil` leaves it as it is. A run that was blocked is so no longer.
    package var version: String?

    package init(
        to state: RunState, wakeAt: Timestamp? = nil, note: String? = nil, blockedBuild: String? = nil, needsRetry: Bool = false,
        version: String? = nil
    ) {
        self.state = state
        self.wakeAt = wakeAt
        self.note = note?.legible
        self.blockedBuild = blockedBuild
        self.needsRetry = needsRetry
        self.version = version
    }
}

/// The answer to one item.
package enum CommitResult: Sendable {
    /// `create`: the run as it now stands. The same run created twice answers the same.
    case created(RunRecord)
    /// `create`, `schedule`: the key is taken; this is the run that has it. Nothing was written.
    case keyTaken(RunRecord)
    /// `advance`, `beat`: durable.
    case advanced
    /// `deliver`: accepted. A repeated delivery id is accepted and changes nothing.
    case delivered(isDuplicate: Bool)
    /// `schedule`: durable, with every run that begins with it. The same change made twice answers the same.
    case scheduled
    /// Nothing of this item was written.
    case refused(CommitRefusal)
}

package enum CommitRefusal: Sendable, Hashable, CustomStringConvertible {
    /// The run is not on that head or not under that epoch, the schedule not on that version: somebody else was faster. Reload.
    case conflict
    /// A final state was asked for, but these inbox rows have not been taken in.
    case unreadInbox(InboxPage)
    /// A business key belongs to another run.
    case businessKeyTaken(BusinessKeyRecord)
    case runUnknown
    case runClosed
    /// `deliver`: the run has taken in another message of this id.
    case deliveryIDTaken
    /// `create`, `schedule`: there is no queue of this name in the run's namespace.
    case queueUnknown(String)
    /// `create`, `schedule`: the run's namespace may start no more now.
    case quotaExceeded(QuotaRefusal)
    /// `create`, `schedule`: a run was to begin before history was recovered, and may have begun in what is lost. Offered again, it has to
    /// say so (`CommitItem.saying`).
    case mayHaveBegun(LostPart)
    /// The data itself was refused by the store (a value it cannot hold).
    case invalid(String)

    package var description: String {
        switch self {
        case .conflict: "it has moved on under somebody else"
        case .unreadInbox(let page): "\(page.rows.count)\(page.hasMore ? " and more" : "") inbox rows have not been read"
        case .businessKeyTaken(let record): "the business key '\(record.key.key)' belongs to run \(record.holder)"
        case .runUnknown: "there is no such run"
        case .runClosed: "the run is closed"
        case .deliveryIDTaken: "another message has this id"
        case .queueUnknown(let name): "there is no queue '\(name)'"
        case .quotaExceeded(let refusal): refusal.description
        case .mayHaveBegun: "it may have begun in a lost part of the store's history"
        case .invalid(let reason): "the store refused the data: \(reason)"
        }
    }
}
