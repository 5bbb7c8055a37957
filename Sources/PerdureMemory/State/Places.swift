internal import PerdureHistory
internal import PerdureStore

/// Why a run is found, and since when: the oldest cause comes first.
struct Cause: Hashable, Comparable, Sendable {
    let at: Timestamp
    let run: Int64

    static func < (left: Cause, right: Cause) -> Bool { (left.at, left.run) < (right.at, right.run) }
}

/// What there is to do for those who host one version of a workflow.
struct Work: Sendable {
    let name: WorkName
    var ready = OrderedIndex<Cause>()
    var due = OrderedIndex<Cause>()
    /// By their deadlines, those that wait in queues.
    var queued = OrderedIndex<Cause>()
    var told = OrderedIndex<Cause>()
    /// One list for each set of builds, so that runs which are blocked for a build are never looked at by it.
    var blocked: [BlockedRuns] = []

    struct BlockedRuns: Sendable {
        let builds: [ByteText]
        var runs = OrderedIndex<Cause>()
    }

    mutating func insertBlocked(_ cause: Cause, builds: [ByteText]) {
        let place = blocked.firstIndex { $0.builds == builds } ?? blocked.count
        if place == blocked.count { blocked.append(BlockedRuns(builds: builds)) }
        blocked[place].runs.insert(cause)
    }

    mutating func removeBlocked(_ cause: Cause, builds: [ByteText]) {
        guard let place = blocked.firstIndex(where: { $0.builds == builds }) else { return }
        blocked[place].runs.remove(cause)
        if blocked[place].runs.isEmpty { blocked.remove(at: place) }
    }
}

struct WorkName: Hashable, Sendable {
    let workflow: ByteText
    let version: ByteText

    init(_ workflow: String, _ version: String) {
        self.workflow = ByteText(workflow)
        self.version = ByteText(version)
    }
}

/// Where a run is to be found.
struct Places: Hashable {
    var work: Int
    var ready: Timestamp?
    var due: Timestamp?
    var queued: Timestamp?
    var told: Timestamp?
    var blocked: Timestamp?
    /// Only of a blocked run.
    var builds: [ByteText] = []
    var toldAnyone: Timestamp?
    var owner: NodeID?
    /// Since when it is owned.
    var owned: Timestamp?
    var closed: Timestamp?
    var expired: Timestamp?
    var hasLeftovers = false
    var waiting: Waiting?
    var holding: Holding?

    init(_ run: MemoryRun) {
        work = run.work
        guard !run.isGone else { return }
        let record = run.record
        if record.state == .ready { ready = run.since }
        if record.state == .queued { queued = record.wakeAt } else { due = record.wakeAt }
        told = run.hostAt
        if record.state == .blocked {
            blocked = run.since
            builds = run.blockedBuilds
        }
        toldAnyone = run.anyoneAt
        owner = record.owner
        owned = record.owner == nil ? nil : run.since
        if let tombstone = record.tombstone { expired = tombstone.expiredAt } else { closed = record.closedAt }
        hasLeftovers = run.hasLeftovers
        (waiting, holding) = (run.waiting, run.holding)
    }
}

extension MemoryState {
    /// Changes a run's row, and where it is to be found. Its messages stay as they are.
    mutating func change(_ index: Int, _ body: (inout MemoryRun) -> Void) {
        let before = Places(runs[index])
        body(&runs[index])
        move(index, from: before, to: Places(runs[index]))
    }

    /// A run that is listed nowhere yet.
    mutating func enter(_ index: Int) {
        var nowhere = runs[index]
        nowhere.isGone = true
        move(index, from: Places(nowhere), to: Places(runs[index]))
    }

    private mutating func move(_ index: Int, from old: Places, to new: Places) {
        guard old != new else { return }
        let run = Int64(index) + 1
        let isElsewhere = old.work != new.work
        func cause(_ at: Timestamp?) -> Cause? { at.map { Cause(at: $0, run: run) } }

        if isElsewhere || old.ready != new.ready {
            if let cause = cause(old.ready) { work[old.work].ready.remove(cause) }
            if let cause = cause(new.ready) { work[new.work].ready.insert(cause) }
        }
        if isElsewhere || old.due != new.due {
            if let cause = cause(old.due) { work[old.work].due.remove(cause) }
            if let cause = cause(new.due) { work[new.work].due.insert(cause) }
        }
        if isElsewhere || old.queued != new.queued {
            if let cause = cause(old.queued) { work[old.work].queued.remove(cause) }
            if let cause = cause(new.queued) { work[new.work].queued.insert(cause) }
        }
        if isElsewhere || old.told != new.told {
            if let cause = cause(old.told) { work[old.work].told.remove(cause) }
            if let cause = cause(new.told) { work[new.work].told.insert(cause) }
        }
        if isElsewhere || old.blocked != new.blocked || old.builds != new.builds {
            if let cause = cause(old.blocked) { work[old.work].removeBlocked(cause, builds: old.builds) }
            if let cause = cause(new.blocked) { work[new.work].insertBlocked(cause, builds: new.builds) }
        }
        if old.toldAnyone != new.toldAnyone {
            if let cause = cause(old.toldAnyone) { toldAnyone.remove(cause) }
            if let cause = cause(new.toldAnyone) { toldAnyone.insert(cause) }
        }
        if isElsewhere || old.owner != new.owner || old.owned != new.owned { moveOwner(index, from: old, to: new) }
        if old.closed != new.closed {
            if let cause = cause(old.closed) { closed.remove(cause) }
            if let cause = cause(new.closed) { closed.insert(cause) }
        }
        if old.expired != new.expired {
            if let cause = cause(old.expired) { expired.remove(cause) }
            if let cause = cause(new.expired) { expired.insert(cause) }
        }
        if old.hasLeftovers != new.hasLeftovers {
            if new.hasLeftovers { leftovers.insert(run) } else { leftovers.remove(run) }
        }
        moveInQueue(run, from: old, to: new)
    }

    private mutating func moveInQueue(_ run: Int64, from old: Places, to new: Places) {
        guard old.holding != new.holding || old.waiting != new.waiting else { return }
        // To be admitted, or lent out, is no cause to admit others.
        if runs[Int(run) - 1].record.state != .running, old.waiting == nil || new.holding == nil { hasQueueNews = true }
        if old.holding != new.holding {
            if let holding = old.holding { queues[holding.queue].hold(holding.key, -1) }
            if let holding = new.holding { queues[holding.queue].hold(holding.key, 1) }
        }
        if old.waiting != new.waiting {
            if let waiting = old.waiting { queues[waiting.queue].leave(run, waiting) }
            if let waiting = new.waiting { queues[waiting.queue].enter(run, waiting) }
        }
    }

    private mutating func moveOwner(_ index: Int, from old: Places, to new: Places) {
        let run = Int64(index) + 1
        if let owner = old.owner, let since = old.owned, let node = nodeIndex(of: owner) {
            nodes[node].owned.remove(OwnedRun(work: old.work, since: since, run: run))
            if old.owner != new.owner {
                for row in runs[index].unread { nodes[node].arrivals.remove(Arrival(number: row.number, run: run)) }
            }
        }
        if let owner = new.owner, let since = new.owned, let node = nodeIndex(of: owner) {
            nodes[node].owned.insert(OwnedRun(work: new.work, since: since, run: run))
            if old.owner != new.owner {
                for row in runs[index].unread { nodes[node].arrivals.insert(Arrival(number: row.number, run: run)) }
            }
        }
    }
}
