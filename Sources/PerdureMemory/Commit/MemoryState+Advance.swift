internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// Whether a commit may go on top of a run's history.
    private enum Gate {
        case open
        /// The run was terminated and is lent out for what may follow its end.
        case openAfterEnd
        /// Another owner, another epoch, or another last event.
        case shut
    }

    mutating func advance(_ advance: RunAdvance, by node: NodeID?, now: Timestamp) -> CommitResult {
        guard let index = index(of: advance.run) else { return .refused(.runUnknown) }
        let gate = gate(index, advance, by: node)
        guard gate != .shut else { return wasApplied(advance, to: index) ? .advanced : .refused(.conflict) }
        let isAfterEnd = gate == .openAfterEnd
        if isAfterEnd, let refusal = advance.refusalAfterEnd { return .refused(refusal) }
        if let refusal = refusal(advance, index, isAfterEnd: isAfterEnd) { return .refused(refusal) }

        let holder = runs[index].record.id
        append(advance.events, to: index)
        consume(advance.consumed, of: index)
        for take in advance.takes { self.take(take, holder: holder) }
        // Before what it sends: a message must not land in the inbox of a run that this very commit closes.
        if let transition = advance.transition {
            move(index, transition, now: now)
        } else if !advance.consumed.isEmpty, runs[index].anyoneAt != nil || runs[index].hostAt != nil {
            change(index) { $0.renewWake() }
        }
        for settlement in advance.settles { settle(settlement, holder: holder, at: advance.lastSeq, now: now) }
        if let successor = advance.successor { start(successor, after: index) }
        // What is addressed to a run that is gone has nobody to be told to; it does not undo the sender's own progress.
        for child in advance.children where self.index(of: child.record.id) == nil { insert(child) }
        for delivery in advance.deliveries { _ = deliver(delivery, now: now) }
        hasNews = true
        return .advanced
    }

    private func gate(_ index: Int, _ advance: RunAdvance, by node: NodeID?) -> Gate {
        if Mutant.isOn("forget a fence") { return .open }
        guard let node, runs[index].record.owner == node, runs[index].record.epoch == advance.epoch,
            let last = runs[index].events.last, last.seq == advance.head.seq, last.hash == advance.head.hash
        else { return .shut }
        return runs[index].record.closedAt == nil ? .open : .openAfterEnd
    }

    /// Whether this very advance was made before, and only its answer got lost.
    private func wasApplied(_ advance: RunAdvance, to index: Int) -> Bool {
        // The run may have gone on since. The hash covers everything before it.
        if let last = advance.events.last { return runs[index].hash(of: last.seq) == last.hash }
        guard let transition = advance.transition, let head = runs[index].head, head.seq == advance.head.seq,
            head.hash == advance.head.hash
        else { return false }
        let record = runs[index].record
        return record.epoch == advance.epoch && record.stands(as: transition)
    }

    // MARK: What is refused

    /// Everything an advance can be refused for, before anything of it is done.
    private func refusal(_ advance: RunAdvance, _ index: Int, isAfterEnd: Bool) -> CommitRefusal? {
        if let first = advance.events.first {
            guard first.seq == advance.head.seq + 1, advance.events.isGapless else {
                return .invalid("the events do not follow event \(advance.head.seq)")
            }
        }
        if let transition = advance.transition {
            if let flaw = runs[index].record.flaw(of: transition) { return .invalid(flaw) }
            if transition.state == .blocked, transition.blockedBuild == nil, runs[index].blockedBuilds.isEmpty {
                return .invalid("a blocked run needs the build that it is blocked for")
            }
            // After the end more may come in at any time; it waits for the next claim.
            if transition.state.isFinal, !isAfterEnd, !runs[index].unread.isEmpty {
                let unread = page(of: index, except: Set(advance.consumed))
                if !unread.rows.isEmpty { return .unreadInbox(unread) }
            }
        }
        for child in advance.children {
            if let refusal = refusal(of: child) { return refusal }
        }
        if let successor = advance.successor, let refusal = refusal(of: successor, after: advance, index) { return refusal }
        let holder = runs[index].record.id
        for take in advance.takes {
            if let record = obstacle(to: take, by: holder) { return .businessKeyTaken(record) }
        }
        return flaw(of: advance, index).map { .invalid($0) }
    }

    /// Data that cannot be held or does not belong together.
    private func flaw(of advance: RunAdvance, _ index: Int) -> String? {
        if let flaw = flaw(of: advance.events) { return flaw }
        if !advance.consumed.isEmpty {
            let unread = Set(runs[index].unread.map(\.number))
            var seen: Set<Int64> = []
            for number in advance.consumed {
                if unread.contains(number), seen.insert(number).inserted { continue }
                // A repeat of a commit without events finds its rows read already; with events, somebody else has read them.
                guard advance.events.isEmpty, seen.contains(number) || runs[index].read.contains(number) else {
                    return "inbox row \(number) is not an unread one of run number \(advance.run)"
                }
            }
        }
        if let transition = advance.transition {
            guard transition.wakeAt == nil || [.waiting, .parked, .queued].contains(transition.state) else {
                return "a run that is \(transition.state.rawValue) has no time to wake"
            }
            guard !transition.needsRetry || transition.state == .parked else {
                return "a run that is \(transition.state.rawValue) does not wait for a retry"
            }
            let texts = [transition.blockedBuild, transition.version].compactMap(\.self)
            guard texts.allSatisfy(\.isStorable) else { return "a text of the transition has a NUL" }
        }
        for delivery in advance.deliveries where !isStorable(delivery) {
            return "a text of the delivery '\(delivery.id.legible)' has a NUL"
        }
        return flaw(of: advance.takes)
    }
}
