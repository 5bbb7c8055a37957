internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// Every breach of the rules that hold whatever happened to the processes, as sentences. What is kept twice is told once more from
    /// the rows.
    func audit(isExclusive: Bool) -> [String] {
        var breaches: [String] = []
        var expected = MemoryState()
        expected.work = work.map { Work(name: $0.name) }
        expected.queues = queues.map(\.bare)
        expected.nodes = nodes.map { node in
            var bare = node
            (bare.owned, bare.arrivals) = (OrderedIndex(), OrderedIndex())
            return bare
        }
        if isExclusive, nodes.count(where: { $0.endedAt == nil }) > 1 { breaches.append("several nodes are registered at once") }
        for index in runs.indices where !runs[index].isGone {
            breaches += rowBreaches(index) + queueBreaches(index) + historyBreaches(index) + linkBreaches(index)
            expected.enterAgain(runs[index], at: index)
        }
        return breaches + placeBreaches(expected) + queueBreaches(besides: expected) + scheduleBreaches
    }

    private mutating func enterAgain(_ run: MemoryRun, at index: Int) {
        while runs.count <= index {
            runs.append(run)
            runs[runs.count - 1].isGone = true
        }
        runs[index] = run
        enter(index)
    }

    // MARK: Rows

    private func rowBreaches(_ index: Int) -> [String] {
        let run = runs[index], record = run.record, state = record.state
        var breaches: [String] = []
        func breach(_ text: String) { breaches.append("run \(record.id) is \(state.rawValue) but \(text)") }
        if record.number != Int64(index) + 1 || numbers[record.id] != record.number { breach("is not found by its id") }
        if state != .terminated, (record.owner != nil) != (state == .running) {
            breach(record.owner == nil ? "has no owner" : "has an owner")
        }
        if let owner = record.owner, nodeIndex(of: owner) == nil {
            breach("its owner \(owner) is a node that the store does not know")
        }
        if run.needsRetry, state != .parked { breach("waits for a retry") }
        if record.wakeAt != nil, ![.waiting, .parked, .queued].contains(state) { breach("has a time to wake") }
        if state != .quarantined, (record.closedAt != nil) != state.isFinal {
            breach(state.isFinal ? "has no closing time" : "has a closing time")
        }
        if work[run.work].name != WorkName(record.workflow, record.version) {
            breach("is the work of another version")
        }
        if state.isFinal, let row = run.unread.first(where: { state != .terminated || $0.delivery.kind != .resolve }) {
            breach("has not read inbox row \(row.number)")
        }
        if state == .blocked, run.blockedBuilds.isEmpty { breach("for no build") }
        if !run.blockedBuilds.isEmpty, ![.blocked, .paused, .running, .quarantined].contains(state) {
            breach("still marked as blocked for \(run.blockedBuilds[0].text)")
        }
        if state.isFinal, !run.heartbeats.isEmpty { breach("has heartbeats") }
        if state != .quarantined {
            var renewed = run
            renewed.renewWake()
            if (renewed.hostAt == nil) != (run.hostAt == nil) || (renewed.anyoneAt == nil) != (run.anyoneAt == nil) {
                breach("its unread messages wake somebody else than they should")
            }
        }
        return breaches
    }

    // MARK: Histories

    private func historyBreaches(_ index: Int) -> [String] {
        let run = runs[index], record = run.record
        guard let first = run.events.first, let last = run.events.last else { return ["run \(record.id) has no events"] }
        var breaches: [String] = []
        if !run.events.isGapless { breaches.append("run \(record.id) has a gap in its events") }
        if let tombstone = record.tombstone {
            if last.kind != .runExpired || last.seq != tombstone.lastSeq + 1 {
                breaches.append("run \(record.id) has expired, but its history does not end with run.expired")
            }
            if !run.hasLeftovers, first.seq != last.seq || !run.deliveries.isEmpty || !run.labels.isEmpty || !run.marks.isEmpty {
                breaches.append("run \(record.id) has expired and keeps something of its history")
            }
            return breaches
        }
        if first.seq != 1 { breaches.append("run \(record.id) has lost its first events") }
        if record.state != .quarantined, let end = run.events.last(where: { !$0.kind.mayFollowFinal })?.kind {
            let isRight =
                record.state.isFinal
                ? end.rawValue == "run.\(record.state.rawValue)" || (record.state == .completed && end == .runContinued)
                : !end.isFinal
            if !isRight {
                breaches.append("run \(record.id) is \(record.state.rawValue) but its history ends with \(end.rawValue)")
            }
        }
        var views = MemoryState()
        views.runs = [MemoryRun(record: record, work: 0, since: run.since)]
        views.append(run.events, to: 0)
        if views.runs[0].marks != run.marks { breaches.append("run \(record.id) has marks that are not its latest events") }
        if views.runs[0].labels != run.labels { breaches.append("run \(record.id) has labels that its history does not name") }
        let open = record.closedAt == nil ? views.runs[0].requests.map(\.seq) : []
        if run.requests.map(\.seq) != open { breaches.append("run \(record.id) has other open requests than its history") }
        if (record.successor != nil) != run.events.contains(where: { $0.kind == .runContinued }), record.state != .quarantined {
            breaches.append("run \(record.id) does not say in its row what its history says of its being continued")
        }
        return breaches
    }

    // MARK: What belongs together

    private func linkBreaches(_ index: Int) -> [String] {
        let run = runs[index], record = run.record
        var breaches: [String] = []
        if let key = WorkflowKey(record), keys[key] != record.number {
            breaches.append("run \(record.id) is not found by its key")
        }
        if let successor = record.successor, let next = self.index(of: successor),
            runs[next].record.origin?.run != record.chain.run
        {
            breaches.append("run \(record.id) was continued as \(successor), which is not of the same chain")
        }
        if record.successor == nil, let origin = record.origin, chainEnds[origin.run] != record.number {
            breaches.append("run \(record.id) is the end of a chain, but is not found as that")
        }
        for wait in run.waits {
            let key = businessKeys[wait.key]
            if key.record.outcome != .open || record.state.isFinal {
                breaches.append("run \(record.id) waits for a business key that it cannot be told of")
            }
            if !key.waiters.elements.contains(.init(run: record.number, subject: wait.subject)) {
                breaches.append("run \(record.id) waits for a business key that does not know of it")
            }
        }
        return breaches
    }

    private func placeBreaches(_ expected: MemoryState) -> [String] {
        var breaches: [String] = []
        func compare<Element>(_ name: String, _ found: OrderedIndex<Element>, _ expected: OrderedIndex<Element>) {
            if found.elements != expected.elements || found.count != expected.count {
                breaches.append("the runs that are \(name) are not found as they should be")
            }
        }
        for (work, other) in zip(self.work, expected.work) {
            let name = "\(work.name.workflow.text) \(work.name.version.text)"
            compare("ready for \(name)", work.ready, other.ready)
            compare("due for \(name)", work.due, other.due)
            compare("queued for \(name)", work.queued, other.queued)
            compare("told for \(name)", work.told, other.told)
            for group in work.blocked {
                compare(
                    "blocked for \(name)", group.runs, other.blocked.first { $0.builds == group.builds }?.runs ?? OrderedIndex())
            }
            if work.blocked.count != other.blocked.count {
                breaches.append("the runs that are blocked for \(name) are not all found")
            }
        }
        for (node, other) in zip(nodes, expected.nodes) {
            compare("owned by \(node.id)", node.owned, other.owned)
            compare("told and owned by \(node.id)", node.arrivals, other.arrivals)
        }
        compare("told what needs no code", toldAnyone, expected.toldAnyone)
        compare("closed", closed, expected.closed)
        compare("expired", expired, expected.expired)
        compare("to be cleared", leftovers, expected.leftovers)
        let listed = openRequests.elements.map(\.position), open = runs.flatMap { $0.isGone ? [] : $0.requests.map(\.position) }
        if listed != open.sorted() { breaches.append("the open requests that are listed are not those of the runs") }
        return breaches
    }
}
