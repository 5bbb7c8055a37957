internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// Applies the items in their order. Everything that one can be refused for is asked before its first change, so that nothing has to
    /// be taken back.
    ///
    /// - Parameter node: the living node of the process, if it has one.
    mutating func commit(_ items: [CommitItem], by node: NodeID?, now: Timestamp) -> [CommitResult] {
        items.map { item in
            switch item {
            case .create(let run): create(run, by: node, now: now)
            case .advance(let advance): self.advance(advance, by: node, now: now)
            case .deliver(let delivery): deliver(delivery, now: now)
            case .beat(let heartbeat): beat(heartbeat, by: node, now: now)
            case .schedule(let change): schedule(change, now: now)
            }
        }
    }

    // MARK: New runs

    mutating func create(_ run: NewRun, by node: NodeID?, now: Timestamp) -> CommitResult {
        guard let first = run.events.first, first.seq == 1, run.events.isGapless else {
            return .refused(.invalid("a new run needs its first event, and the others in sequence"))
        }
        // An owner that is not this node would be one that nobody can tell dead from alive.
        guard run.record.owner == nil || run.record.owner == node else { return .refused(.conflict) }
        if let flaw = flaw(of: run) { return .refused(.invalid(flaw)) }
        if let existing = existing(run.record, first: first) { return existing }
        if let refusal = unsaidLoss(in: run, now: now) ?? refusal(ofPlaceOf: run) ?? takeQuota(for: [run], now: now) {
            return .refused(refusal)
        }
        var run = run
        // Nobody begins anything now: whoever hosts it takes it on later.
        if isHeld, run.record.owner != nil { (run.record.owner, run.record.state) = (nil, .ready) }
        return .created(insert(run))
    }

    /// The id, the key or the end of the chain is there already: the same call again, or another run.
    private func existing(_ record: RunRecord, first: Event) -> CommitResult? {
        if let same = index(of: record.id) {
            guard runs[same].hash(of: 1) == first.hash else {
                return .refused(.invalid("the run id \(record.id) belongs to another run"))
            }
            return .created(runs[same].record)
        }
        if let key = WorkflowKey(record), let holder = keys[key].flatMap({ index(of: $0) }) {
            return .keyTaken(runs[holder].record)
        }
        if let origin = record.origin, chainEnds[origin.run] != nil { return .refused(.conflict) }
        return nil
    }

    /// Makes a run of which everything was asked before.
    ///
    /// - Parameter former: The run that it continues, whose place in a queue it takes over.
    @discardableResult
    mutating func insert(_ new: NewRun, after former: Int? = nil) -> RunRecord {
        var record = new.record
        record.number = Int64(runs.count) + 1
        record.queue =
            former.map { runs[$0].record.queue }
            ?? new.place.flatMap { queueIndex(of: $0, in: record.namespace) }.map { Int64($0) + 1 }
        record.isAdmitted = new.place == nil
        let index = runs.count
        runs.append(
            MemoryRun(record: record, work: workNumber(of: record.workflow, record.version), since: record.createdAt))
        runs[index].place = former.map { runs[$0].place } ?? new.place
        if new.place != nil { runs[index].deadline = record.wakeAt }
        numbers[record.id] = record.number
        if let key = WorkflowKey(record) { keys[key] = record.number }
        if let origin = record.origin { chainEnds[origin.run] = record.number }
        enter(index)
        append(new.events, to: index)
        if record.state.isFinal { forget(index) }
        hasNews = true
        return record
    }

    // MARK: Data that no store can hold

    /// What is wrong with a run that is to be made, as a sentence.
    func flaw(of run: NewRun) -> String? {
        let record = run.record
        let texts =
            [record.namespace, record.workflow, record.version, record.inputDigest]
            + [record.key, record.note].compactMap(\.self)
        guard texts.allSatisfy(\.isStorable) else { return "a text of the run has a NUL" }
        guard record.owner == nil || record.state == .running || record.state == .terminated,
            record.state != .running || record.owner != nil
        else { return "a run that is \(record.state.rawValue) cannot have this owner" }
        guard record.wakeAt == nil || [.waiting, .parked, .queued].contains(record.state) else {
            return "a run that is \(record.state.rawValue) has no time to wake"
        }
        guard (record.closedAt != nil) == record.state.isFinal || record.state == .quarantined else {
            return "a run that is \(record.state.rawValue) cannot have this closing time"
        }
        if let flaw = run.flawOfPlace { return flaw }
        guard record.tombstone == nil, record.successor == nil else { return "a run does not begin as one that has ended" }
        return flaw(of: run.events)
    }

    func flaw(of events: [Event]) -> String? {
        for event in events {
            guard event.subject.isStorable, event.attributes.text.isStorable, event.keyID?.isStorable ?? true else {
                return "a text of event \(event.seq) has a NUL"
            }
            for case .spilled? in [event.input, event.output] {
                return "a value of event \(event.seq) has no bytes that could be stored"
            }
        }
        return nil
    }
}

extension [Event] {
    var isGapless: Bool { zip(self, dropFirst()).allSatisfy { $1.seq == $0.seq + 1 } }
}
