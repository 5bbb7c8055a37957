internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    mutating func claim(_ request: ClaimRequest, now: Timestamp) -> Claimed {
        if isHeld { return Claimed(isHeld: true) }
        let candidates = request.only.map { among($0, request, now: now) } ?? everywhere(request, now: now)
        // The oldest cause of each run.
        var chosen: [Cause] = [], known: Set<Int64> = []
        for cause in candidates.sorted() where chosen.count < request.limit && known.insert(cause.run).inserted {
            chosen.append(cause)
        }
        return Claimed(runs: chosen.compactMap { cause in index(of: cause.run).flatMap { own($0, request, now: now) } })
    }

    /// The oldest of each cause, at most the limit of each.
    private func everywhere(_ request: ClaimRequest, now: Timestamp) -> [Cause] {
        var found: [Cause] = []
        let limit = request.limit, due = now + request.ahead, build = ByteText(request.build)
        func take(_ index: OrderedIndex<Cause>, if holds: (Cause) -> Bool = { _ in true }) {
            var room = limit
            index.forEach { cause in
                guard room > 0, holds(cause) else { return false }
                found.append(cause)
                room -= 1
                return true
            }
        }
        for hosted in request.hosted {
            guard let number = workNumbers[WorkName(hosted.workflow, hosted.version)] else { continue }
            take(work[number].ready)
            take(work[number].due) { $0.at <= due }
            // It is not brought into memory: before it is late there is nothing to be done.
            take(work[number].queued) { $0.at <= now }
            take(work[number].told)
            for group in work[number].blocked where !group.builds.contains(build) { take(group.runs) }
            for node in nodes where node.endedAt != nil { found += orphans(of: node, in: number, limit) }
        }
        var room = limit
        toldAnyone.forEach { cause in
            guard room > 0 else { return false }
            // Passes over what living owners are about to read.
            if let index = index(of: cause.run), isUnattended(index) {
                found.append(cause)
                room -= 1
            }
            return true
        }
        return found
    }

    private func orphans(of node: MemoryNode, in work: Int, _ limit: Int) -> [Cause] {
        var found: [Cause] = []
        node.owned.forEach(from: OwnedRun(work: work, since: .distantPast, run: 0)) { owned in
            guard owned.work == work, found.count < limit else { return false }
            found.append(Cause(at: owned.since, run: owned.run))
            return true
        }
        return found
    }

    /// Whether no living node owns the run.
    private func isUnattended(_ index: Int) -> Bool { runs[index].record.owner.map { !isLiving($0) } ?? true }

    /// Those of the given runs that may be claimed.
    private func among(_ numbers: [Int64], _ request: ClaimRequest, now: Timestamp) -> [Cause] {
        let hosted = Set(request.hosted.map { WorkName($0.workflow, $0.version) }), build = ByteText(request.build)
        return numbers.compactMap { number in
            guard let index = index(of: number) else { return nil }
            let run = runs[index], record = run.record
            let isUnattended = isUnattended(index)
            let isForHost =
                record.state == .ready
                || record.wakeAt.map { $0 <= (record.state == .queued ? now : now + request.ahead) } ?? false || run.hostAt != nil
                || (record.state == .blocked && !run.isBlocked(for: build)) || (record.owner != nil && isUnattended)
            guard (isForHost && hosted.contains(work[run.work].name)) || (run.anyoneAt != nil && isUnattended) else {
                return nil
            }
            return Cause(at: record.wakeAt ?? run.hostAt ?? run.anyoneAt ?? run.since, run: number)
        }
    }

    /// Makes the node the owner.
    private mutating func own(_ index: Int, _ request: ClaimRequest, now: Timestamp) -> ClaimedRun? {
        guard var head = runs[index].head else { return nil }
        let before = runs[index].record
        change(index) { run in
            if before.state != .terminated { run.record.state = .running }
            run.record.owner = request.node
            run.record.epoch += 1
            run.record.wakeAt = nil
            run.record.note = nil
            run.needsRetry = false
            run.since = now
            run.renewWake()
        }
        let isTakeover = before.state == .running
        if isTakeover {
            append([head.append(request.takeover, run: before.id.description, now: now)], to: index)
        }
        // The last run of a node that has ended may have gone with this.
        if before.owner != nil { forgetIdle() }
        hasNews = true
        return ClaimedRun(
            record: runs[index].record, previous: before.state, previousWakeAt: before.wakeAt, previousNote: before.note,
            head: head, isTakeover: isTakeover)
    }

    mutating func quarantine(_ index: Int, reason: String, now: Timestamp) {
        change(index) { run in
            run.record.state = .quarantined
            run.record.owner = nil
            run.record.wakeAt = nil
            run.record.note = reason.legible
            run.needsRetry = false
            run.since = now
            (run.hostAt, run.anyoneAt) = (nil, nil)
        }
        hasNews = true
    }
}
