internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// Whether a commit may go on top of a run's history.
private enum RunGate {
    case open
    /// The run was terminated and is lent out for what may follow its end.
    case openAfterEnd
    /// Another owner, another epoch, or another last event.
    case shut
}

extension CommitGroup {
    func advance(_ advance: RunAdvance) throws -> CommitResult {
        guard let run = facts.runs[advance.run] else { return .refused(.runUnknown) }
        let gate = gate(advance, run)
        switch gate {
        case .open: break
        case .openAfterEnd:
            if let refusal = advance.refusalAfterEnd { return .refused(refusal) }
        case .shut: return try wasApplied(advance, run) ? .advanced : .refused(.conflict)
        }
        if gate == .open, let flaw = advance.transition.flatMap(run.record.flaw(of:)) { return .refused(.invalid(flaw)) }
        if let refusal = try refusal(advance, run, isAfterEnd: gate == .openAfterEnd) { return .refused(refusal) }

        append(advance.events, to: advance.run)
        try consume(advance)
        for take in advance.takes { try self.take(take, holder: run.record.id) }
        // Before what it sends: a message must not land in the inbox of a run that this very commit closes.
        if let transition = advance.transition {
            try move(advance.run, transition, keepsPlace: advance.successor != nil)
        } else if !advance.consumed.isEmpty, run.hasWake {
            // What else is unread was not asked for if it is this very commit that wakes it.
            if run.unread == nil { throw Entangled() }
            writes.renewWake(of: advance.run)
        }
        for settlement in advance.settles {
            try settle(settlement, holder: run.record.id, at: advance.lastSeq)
        }
        if let successor = advance.successor { try start(successor, after: advance.run) }
        // What is addressed to a run that is gone has nobody to be told to; it does not undo the sender's own progress.
        for child in advance.children where facts.numbers[child.record.id] == nil {
            guard case .created = try create(child) else { throw BadRow("the child \(child.record.id) cannot be made") }
        }
        for delivery in advance.deliveries { _ = try deliver(delivery) }
        return .advanced
    }

    private func gate(_ advance: RunAdvance, _ run: RunFacts) -> RunGate {
        guard let node = facts.node, run.record.owner == node, run.record.epoch == advance.epoch, let head = run.head,
            head.seq == advance.head.seq, head.hash == advance.head.hash
        else { return .shut }
        return run.record.closedAt == nil ? .open : .openAfterEnd
    }

    /// Everything an advance can be refused for, before anything of it is written.
    private func refusal(_ advance: RunAdvance, _ run: RunFacts, isAfterEnd: Bool) throws -> CommitRefusal? {
        if let first = advance.events.first {
            guard first.seq == advance.head.seq + 1, Self.areInSequence(advance.events) else {
                return .invalid("the events do not follow event \(advance.head.seq)")
            }
        }
        if let transition = advance.transition {
            if transition.state == .blocked, transition.blockedBuild == nil, try !isBlocked(advance.run) {
                return .invalid("a blocked run needs the build that it is blocked for")
            }
            // After the end more may come in at any time; it waits for the next claim.
            if transition.state.isFinal, !isAfterEnd, run.unread?.isEmpty == false {
                // What this very commit delivers has no number yet.
                if run.hasNews { throw Entangled() }
                return .unreadInbox(try session.inbox(of: advance.run, except: Set(advance.consumed)))
            }
        }
        for child in advance.children {
            if let refusal = try refusal(of: child) { return refusal }
        }
        if let successor = advance.successor, let refusal = refusal(of: successor, after: advance) { return refusal }
        for take in advance.takes {
            if let record = obstacle(to: take, by: run.record.id) { return .businessKeyTaken(record) }
        }
        return nil
    }

    private func consume(_ advance: RunAdvance) throws {
        for number in advance.consumed {
            let row = facts.consumable[number]
            // A repeat of a commit without events finds its rows read already; with events, somebody else has read them.
            guard let row, row.run == advance.run, !row.isConsumed || advance.events.isEmpty else {
                throw BadRow("inbox row \(number) is not an unread one of run number \(advance.run)")
            }
            if row.isConsumed { continue }
            facts.consumable[number]?.isConsumed = true
            writes.consume(number)
        }
    }

    /// Whether this very advance was made durable before, and only its answer got lost.
    func wasApplied(_ advance: RunAdvance, _ run: RunFacts) throws -> Bool {
        if let last = advance.events.last {
            // The run may have gone on since. The hash covers everything before it.
            return try hash(of: advance.run, seq: last.seq) == last.hash
        }
        guard let transition = advance.transition, run.record.epoch == advance.epoch, let head = run.head,
            head.seq == advance.head.seq, head.hash == advance.head.hash
        else { return false }
        return run.record.stands(as: transition)
    }

    // MARK: The row

    private static let anyBlockedBuild = SQL("SELECT 1 FROM perdure.blocked_builds WHERE run = $1::bigint LIMIT 1")

    /// Whether the run is blocked for some build, be it that another one owns it at the moment.
    private func isBlocked(_ run: Int64) throws -> Bool {
        if writes.isBlocked(run) { return true }
        return try !writes.isUnblocked(run) && session.exists(Self.anyBlockedBuild, run)
    }

    /// Changes the run's row, and what hangs on its state.
    ///
    /// - Parameter keepsPlace: its place in its queue is for the run that it is continued as.
    private func move(_ run: Int64, _ transition: RunTransition, keepsPlace: Bool) throws {
        let state = facts.runs[run]?.record.landing(of: transition) ?? transition.state
        let wakeAt = keepsPlace ? transition.wakeAt : try standInQueue(run, state, wakeAt: transition.wakeAt)
        if var moved = facts.runs[run] {
            moved.record.state = state
            if state != .running { moved.record.owner = nil }
            moved.record.wakeAt = wakeAt
            moved.record.note = transition.note
            moved.record.closedAt = state.isFinal ? moved.record.closedAt ?? facts.now : nil
            moved.record.version = transition.version ?? moved.record.version
            moved.needsRetry = transition.needsRetry
            moved.since = facts.now
            facts.runs[run] = moved
        }
        writes.change(run)
        // For the code of another version it is an open question whether it fits.
        if transition.version != nil { writes.unblock(run) }
        switch state {
        case .blocked:
            if let build = transition.blockedBuild { writes.block(run, for: build) }
        // A run that was blocked when it was paused is blocked again when it goes on.
        case .running, .paused: break
        default:
            // Some build has carried the run on; whether another one fits is an open question again.
            writes.unblock(run)
        }
        if state.isFinal { writes.forget(run) }
        writes.renewWake(of: run)
        if state == .ready || state == .blocked || facts.runs[run]?.wakes.isEmpty == false {
            news.ringAll()
        }
    }

    /// What becomes of the run's place.
    /// - Returns: when it becomes due by itself: while it is queued, at its deadline.
    private func standInQueue(_ run: Int64, _ state: RunState, wakeAt: Timestamp?) throws -> Timestamp? {
        guard let known = facts.runs[run], known.record.queue != nil else { return wakeAt }
        if state.isFinal || state == .quarantined {
            writes.places.leave(run)
            news.ringQueues()
            return wakeAt
        }
        guard !known.record.isAdmitted, state != .running else { return wakeAt }
        guard let place = known.place else { throw BadRow("run number \(run) has lost its place in its queue") }
        writes.places.stand(run, place, inLine: state == .queued)
        news.ringQueues()
        return state == .queued ? place.deadline : nil
    }
}

extension RunFacts {
    /// Who may claim the run because of its unread messages, and since when.
    var wakes: WakeTimes {
        var times = WakeTimes()
        for (kind, message) in unread ?? [:] { times.add(wake(by: kind, name: message.name), at: message.at) }
        return times
    }
}

/// The times of the oldest messages that wake the hosts of a run, and anyone.
struct WakeTimes {
    private(set) var host: Timestamp?
    private(set) var anyone: Timestamp?

    var isEmpty: Bool { host == nil && anyone == nil }

    mutating func add(_ wake: Wake, at: Timestamp) {
        switch wake {
        case .nobody: break
        case .host: host = min(host ?? at, at)
        case .anyone: anyone = min(anyone ?? at, at)
        }
    }
}
