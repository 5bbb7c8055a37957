internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// History went back, and nothing may be begun.
    var isHeld: Bool { restorations.last?.isStanding ?? false }

    /// Whether a run that is to begin has to say first that it may have begun in what is lost.
    func unsaidLoss(in run: NewRun, now: Timestamp) -> CommitRefusal? {
        run.unsaidLoss(before: restorations.last { !$0.isStanding }?.lift, now: now).map { .mayHaveBegun($0) }
    }

    mutating func beginRestoration(
        by: String, reason: String, after number: Int64?, endsNodes: Bool, now: Timestamp
    ) -> Restoration {
        let last = restorations.last
        if let number, let last, last.number > number, !last.isStanding { return last }
        let isNew = !isHeld
        if !isNew {
            // What is missing now may be of runs that are marked.
            (restorations[restorations.count - 1].markedUpTo, restorations[restorations.count - 1].marked) = (0, 0)
        } else {
            restorations.append(
                Restoration(number: Int64(restorations.count) + 1, noticedAt: now, noticedBy: by, reason: reason))
        }
        if endsNodes, isNew || number == nil {
            for index in nodes.indices where nodes[index].endedAt == nil { nodes[index].endedAt = now }
            forgetIdle()
        }
        hasNews = true
        return restorations[restorations.count - 1]
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
        while left > 0, last < Int64(runs.count) {
            last += 1
            guard let index = index(of: last), RunState.restorable.contains(runs[index].record.state),
                var head = runs[index].head
            else { continue }
            let lost = LostPart(since: head.at, until: now, by: by)
            append([head.append(lost.event, run: runs[index].record.id.description, now: now)], to: index)
            change(index) { $0.record.epoch += Restoration.epochRise }
            restorations[place].marked += 1
            left -= 1
        }
        restorations[place].markedUpTo = last
        if left > 0 { (restorations[place].liftedAt, restorations[place].liftedBy) = (now, by) }
        hasNews = true
        return restorations[place]
    }
}
