internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// One bounded part of a round of removing.
    mutating func expire(_ request: ExpiryRequest, now: Timestamp) -> Expiry {
        var answer = Expiry(position: request.position), room = max(1, request.limit)
        answer.isDone =
            removeLeftovers(&room) && expireRuns(request, now: now, &room, &answer) && removeTombstones(request, room, &answer)
        if answer.expired > 0 || answer.removed > 0 { hasNews = true }
        return answer
    }

    /// Goes on where a call before stopped in the middle of a long history.
    private mutating func removeLeftovers(_ room: inout Int) -> Bool {
        while let run = leftovers.first {
            guard clear(Int(run) - 1, &room) else { return false }
        }
        return true
    }

    private mutating func expireRuns(
        _ request: ExpiryRequest, now: Timestamp, _ room: inout Int, _ answer: inout Expiry
    ) -> Bool {
        guard let closedBefore = request.closedBefore else { return true }
        while let next = nextClosed(after: answer.position), next.at < closedBefore {
            guard room > 0 else { return false }
            room -= 1
            answer.position = ExpiryPosition(closedAt: next.at, run: next.run)
            guard let index = index(of: next.run), isAtRest(index), !hasOpening(index, &room) else { continue }
            bury(index, now: now)
            answer.expired += 1
            guard clear(index, &room) else { return false }
        }
        return true
    }

    private func nextClosed(after position: ExpiryPosition?) -> Cause? {
        let last = position.map { Cause(at: $0.closedAt, run: $0.run) }
        var next: Cause?
        closed.forEach(from: last) { cause in
            if cause == last { return true }
            next = cause
            return false
        }
        return next
    }

    private func isAtRest(_ index: Int) -> Bool {
        let run = runs[index]
        return run.record.owner == nil && run.record.state.isFinal && run.unread.isEmpty
    }

    /// How many events that are only looked at count as one row.
    private static let eventsPerRow = 20
    /// What removing a large value counts for, in rows.
    private static let blobWeight = 32

    /// Whether something has begun and nothing was recorded about it since. What is called off by nothing but its own end; a detached
    /// child is none of the run's business.
    private func hasOpening(_ index: Int, _ room: inout Int) -> Bool {
        let events = runs[index].events
        guard let first = events.firstIndex(where: Self.opens) else { return false }
        room -= (events.count - first) / Self.eventsPerRow
        var open: Set<Opening> = []
        for event in events[first...] {
            guard let opening = Opening(event) else { continue }
            if Self.opens(event) { open.insert(opening) } else if event.kind != .childStarted { open.remove(opening) }
        }
        return !open.isEmpty
    }

    private struct Opening: Hashable {
        let area: String
        let subject: ByteText

        init?(_ event: Event) {
            switch event.kind {
            case .childStarted, .childCompleted, .childFailed, .childCancelled: area = "child"
            case let kind where kind.rawValue.hasPrefix("step."): area = "step"
            case let kind where kind.rawValue.hasPrefix("undo."): area = "undo"
            default: return nil
            }
            subject = ByteText(event.subject)
        }
    }

    private static func opens(_ event: Event) -> Bool {
        switch event.kind {
        case .stepInDoubt, .undoInDoubt: true
        case .childStarted: (try? event.attributes.object())?["detached"] != .bool(true)
        default: false
        }
    }

    /// Ends the chain and makes the row a tombstone. From here on nothing else of the history counts.
    private mutating func bury(_ index: Int, now: Timestamp) {
        guard let last = runs[index].head else { return }
        let record = runs[index].record
        var head = last
        let draft = EventDraft(
            .runExpired,
            attributes: [
                "state": .string(record.state.rawValue), "closed_at": .integer((record.closedAt ?? now).microseconds),
                "last_hash": .string(last.hash.description),
            ])
        append([head.append(draft, run: record.id.description, now: now)], to: index)
        change(index) { run in
            run.record.tombstone = Tombstone(expiredAt: now, lastSeq: last.seq, lastHash: last.hash)
            run.record.note = nil
            run.record.wakeAt = nil
            run.hasLeftovers = true
            run.marks = [:]
            run.labels = [:]
        }
    }

    /// Removes what the room allows of an expired run. Returns whether that was all.
    private mutating func clear(_ index: Int, _ room: inout Int) -> Bool {
        guard let last = runs[index].record.tombstone?.lastSeq else { return true }
        // One row more than there is room for, so that even a room smaller than one row's weight gets on.
        let limit = max(0, room) + 1
        var cost = 0, count = 0
        for event in runs[index].events where event.seq <= last {
            guard cost < limit else { break }
            count += 1
            cost += [event.input, event.output].reduce(1) { $0 + ($1?.isLarge ?? false ? Self.blobWeight : 0) }
        }
        runs[index].events.removeFirst(count)
        room -= cost
        if let first = runs[index].events.first, first.seq <= last { return false }
        room -= runs[index].deliveries.count
        forget(index)
        change(index) { run in
            run.unread = []
            run.read = []
            run.deliveries = []
            (run.hostAt, run.anyoneAt) = (nil, nil)
            run.hasLeftovers = false
        }
        return true
    }

    private mutating func removeTombstones(_ request: ExpiryRequest, _ room: Int, _ answer: inout Expiry) -> Bool {
        guard let expiredBefore = request.expiredBefore else { return true }
        var found: [Int64] = [], isAll = true
        expired.forEach { cause in
            guard cause.at < expiredBefore else { return false }
            guard found.count < max(0, room) / 2 + 1 else {
                isAll = false
                return false
            }
            if let index = index(of: cause.run), !runs[index].hasLeftovers { found.append(cause.run) }
            return true
        }
        for run in found {
            guard let index = index(of: run) else { continue }
            remove(index)
            answer.removed += 1
        }
        return isAll
    }

    private mutating func remove(_ index: Int) {
        let record = runs[index].record
        numbers[record.id] = nil
        if let key = WorkflowKey(record), keys[key] == record.number { keys[key] = nil }
        if let origin = record.origin, chainEnds[origin.run] == record.number { chainEnds[origin.run] = nil }
        change(index) { $0.isGone = true }
        runs[index].events = []
    }
}
