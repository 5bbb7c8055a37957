internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// Items that share one transaction, decided one after the other by what is known of their runs. Nothing is written before all are decided.
///
/// On its connection's thread only.
final class CommitGroup {
    let session: Session
    let facts: CommitFacts
    let writes = CommitWrites()
    var news = StoreNews()

    init(_ facts: CommitFacts, _ session: Session) {
        self.facts = facts
        self.session = session
    }

    func apply(_ item: CommitItem) throws -> CommitResult {
        switch item {
        case .create(let run): try start(run)
        case .advance(let advance): try self.advance(advance)
        case .deliver(let delivery): try deliver(delivery)
        case .beat(let heartbeat): beat(heartbeat)
        case .schedule(let change): try schedule(change)
        }
    }

    // MARK: New runs

    /// Makes a run that somebody starts, if the quotas of its namespace leave room for it. One that was made before is only found.
    private func start(_ run: NewRun) throws -> CommitResult {
        let record = run.record
        let key = record.key.map { WorkflowKey(namespace: record.namespace, workflow: record.workflow, key: $0) }
        let isKnown = facts.numbers[record.id] != nil || key.map { facts.keyed[$0] != nil } ?? false
        if isKnown { return try create(run) }
        if let refusal = facts.unsaidLoss(in: run) { return .refused(refusal) }
        guard var use = facts.quotas[record.namespace] else { return try create(run) }
        if let refusal = use.take([run], now: facts.now) { return .refused(.quotaExceeded(refusal)) }
        let result = try create(run)
        if case .created = result { facts.quotas[record.namespace] = use }
        return result
    }

    /// - Parameter queue: that of the run that it continues, whose place it takes over.
    func create(_ run: NewRun, inheriting queue: Int64? = nil) throws -> CommitResult {
        guard let first = run.events.first, first.seq == 1, Self.areInSequence(run.events) else {
            return .refused(.invalid("a new run needs its first event, and the others in sequence"))
        }
        if let flaw = run.flawOfPlace { return .refused(.invalid(flaw)) }
        var record = run.record
        // An owner that is not this node would be one that nobody can tell dead from alive.
        guard record.owner == nil || record.owner == facts.node else { return .refused(.conflict) }
        if let number = facts.numbers[record.id], let same = facts.runs[number] {
            guard try hash(of: number, seq: 1) == first.hash else {
                return .refused(.invalid("the run id \(record.id) belongs to another run"))
            }
            return .created(same.record)
        }
        let key = record.key.map { WorkflowKey(namespace: record.namespace, workflow: record.workflow, key: $0) }
        if let key, let holder = facts.keyed[key] { return .keyTaken(holder) }
        // Nobody begins anything now: whoever hosts it takes it on later.
        if facts.isHeld, record.owner != nil { (record.owner, record.state) = (nil, .ready) }
        record.queue = queue
        record.isAdmitted = run.place == nil
        if let place = run.place {
            record.queue = facts.queues[QueueKey(namespace: record.namespace, name: place.name)]
            if record.queue == nil { return .refused(.queueUnknown(place.name)) }
        }
        guard let number = facts.nextNumber() else { throw Overtaken() }
        record.number = number
        var created = RunFacts(record: record, needsRetry: false, since: record.createdAt, unread: [:])
        created.hasNews = true
        facts.add(created)
        if let key { facts.keyed[key] = record }
        writes.create(number)
        append(run.events, to: number)
        if let place = run.place, let queue = record.queue {
            writes.places.enter(number, queue, place, deadline: record.wakeAt)
            news.ringQueues()
        } else if record.state.isFinal {
            writes.forget(number)
        } else if record.owner == nil {
            news.ringAll()
        }
        return .created(record)
    }

    /// What a child of an advance can be refused for, before anything of the advance is written.
    func refusal(of child: NewRun) throws -> CommitRefusal? {
        guard let first = child.events.first, first.seq == 1, Self.areInSequence(child.events) else {
            return .invalid("a child needs its first event, and the others in sequence")
        }
        guard child.record.owner == nil, child.record.key == nil, !child.record.state.isFinal, child.record.state != .queued,
            child.place == nil
        else {
            return .invalid("a child begins open, without an owner, without a key and without a place in a queue")
        }
        guard let number = facts.numbers[child.record.id], let existing = facts.runs[number]?.record else { return nil }
        guard existing.namespace == child.record.namespace, existing.workflow == child.record.workflow,
            let begin = try firstEvent(of: number), child.isSameChild(asRunStartedBy: begin)
        else { return .invalid("the run id \(child.record.id) belongs to another run") }
        return nil
    }

    /// What a successor can be refused for, before anything of the advance is written.
    func refusal(of successor: NewRun, after advance: RunAdvance) -> CommitRefusal? {
        guard let first = successor.events.first, first.seq == 1, Self.areInSequence(successor.events) else {
            return .invalid("a successor needs its first event, and the others in sequence")
        }
        guard advance.transition?.state == .completed, advance.events.last?.kind == .runContinued else {
            return .invalid("only a run that closes as continued has a successor")
        }
        let record = successor.record
        guard record.owner == nil, !record.state.isFinal, let run = facts.runs[advance.run]?.record,
            record.namespace == run.namespace, record.workflow == run.workflow, record.key == run.key, record.origin == run.chain
        else { return .invalid("a successor begins open and without an owner, and has the workflow, key and origin of its run") }
        guard successor.place == nil, record.state != .queued else {
            return .invalid("a successor takes the place of its run over, and no other one")
        }
        if facts.numbers[record.id] != nil { return .invalid("the run id \(record.id) belongs to another run") }
        return nil
    }

    /// Hands the key and the place over and makes the successor.
    func start(_ successor: NewRun, after run: Int64) throws {
        if let record = facts.runs[run]?.record, let key = record.key {
            facts.keyed[WorkflowKey(namespace: record.namespace, workflow: record.workflow, key: key)] = nil
        }
        facts.runs[run]?.record.successor = successor.record.id
        facts.runs[run]?.record.key = nil
        let queue = facts.runs[run]?.record.queue
        guard case .created(let made) = try create(successor, inheriting: queue) else {
            throw BadRow("the successor \(successor.record.id) cannot be made")
        }
        if queue != nil { writes.places.inherit(from: run, to: made.number) }
    }

    // MARK: Histories

    static func areInSequence(_ events: [Event]) -> Bool {
        zip(events, events.dropFirst()).allSatisfy { $1.seq == $0.seq + 1 }
    }

    /// Appends to the history and keeps what is only a view of it: open requests, marks, labels.
    func append(_ events: [Event], to run: Int64) {
        for event in events { writes.append(event, to: run) }
        facts.runs[run]?.appended += events
        if let last = events.last { facts.runs[run]?.head = ChainHead(after: last) }
    }

    private static let hashOf = SQL("SELECT hash FROM perdure.events WHERE run = $1::bigint AND seq = $2::bigint")
    private static let first = SQL("SELECT \(Event.columns) FROM perdure.events WHERE run = $1::bigint AND seq = 1")

    func hash(of run: Int64, seq: Int64) throws -> EventHash? {
        if let event = facts.runs[run]?.appended.first(where: { $0.seq == seq }) { return event.hash }
        return try session.first(Self.hashOf, run, seq) { try $0.hash(0) }
    }

    private func firstEvent(of run: Int64) throws -> Event? {
        if let event = facts.runs[run]?.appended.first(where: { $0.seq == 1 }) { return event }
        return try session.first(Self.first, run) { try Event($0, run: run) }
    }

    // MARK: Signs of life

    private func beat(_ heartbeat: Heartbeat) -> CommitResult {
        guard let record = facts.runs[heartbeat.run]?.record else { return .refused(.runUnknown) }
        guard let node = facts.node, record.owner == node, record.epoch == heartbeat.epoch, record.closedAt == nil else {
            return .refused(.conflict)
        }
        writes.beat(heartbeat, at: facts.now)
        return .advanced
    }
}

/// Who has to hear of what was committed.
struct StoreNews: Sendable {
    /// Something can be claimed by whoever is first.
    private(set) var isForAll = false
    /// Somebody may have got a cause to be admitted.
    private(set) var isForQueues = false
    /// Nodes whose runs have got messages.
    private(set) var nodes: Set<NodeID> = []

    var isEmpty: Bool { !isForAll && nodes.isEmpty }

    mutating func ringAll() { isForAll = true }
    mutating func ringQueues() { isForQueues = true }
    mutating func ring(_ node: NodeID) { nodes.insert(node) }

    mutating func merge(_ other: StoreNews) {
        isForAll = isForAll || other.isForAll
        isForQueues = isForQueues || other.isForQueues
        nodes.formUnion(other.nodes)
    }
}
