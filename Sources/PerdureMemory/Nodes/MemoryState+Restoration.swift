internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// History went back, and nothing may be begun.
    var isHeld: Bool { restorations.last?.isStanding ?? false }

    mutating func beginRestoration(by: String, reason: String, endsNodes: Bool, now: Timestamp) -> Restoration {
        if let standing = restorations.last, standing.isStanding { return standing }
        let restoration = Restoration(
            number: Int64(restorations.count) + 1, noticedAt: now, noticedBy: by, reason: reason, lastRun: Int64(runs.count))
        restorations.append(restoration)
        if endsNodes {
            for index in nodes.indices where nodes[index].endedAt == nil { nodes[index].endedAt = now }
            forgetIdle()
        }
        hasNews = true
        return restoration
    }

    mutating func markRestored(
        _ number: Int64, limit: Int, by: Principal, now: Timestamp
    ) throws(StoreError) -> Restoration {
        guard number > 0, number <= restorations.count else {
            throw .unusable(.usage, "There is no restoration number \(number).")
        }
        let place = Int(number) - 1
        guard restorations[place].isStanding else { return restorations[place] }
        var left = max(1, min(limit, Restoration.mostAtOnce)), last = restorations[place].markedUpTo
        while left > 0, last < restorations[place].lastRun {
            last += 1
            guard let index = index(of: last), RunState.restorable.contains(runs[index].record.state),
                var head = runs[index].head
            else { continue }
            let lost = LostPart(since: head.at, until: now, by: by)
            append([head.append(lost.event, run: runs[index].record.id.description, now: now)], to: index)
            restorations[place].marked += 1
            left -= 1
        }
        restorations[place].markedUpTo = last
        if left > 0 { (restorations[place].liftedAt, restorations[place].liftedBy) = (now, by) }
        hasNews = true
        return restorations[place]
    }
}
