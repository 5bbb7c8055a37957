internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// Changes a schedule and begins its runs, or does nothing.
    mutating func schedule(_ change: ScheduleChange, now: Timestamp) -> CommitResult {
        if let flaw = change.flaw { return .refused(.invalid(flaw)) }
        switch change.standing(on: schedules[change.key]) {
        case .applied: return .scheduled
        case .overtaken: return .refused(.conflict)
        case .open: break
        }
        // What was due may have been started in what is lost.
        if isHeld, !change.starts.isEmpty { return .refused(.conflict) }
        for start in change.starts {
            if let flaw = flaw(of: start) { return .refused(.invalid(flaw)) }
            if let key = WorkflowKey(start.record), let holder = keys[key].flatMap({ index(of: $0) }) {
                return .keyTaken(runs[holder].record)
            }
            if index(of: start.record.id) != nil {
                return .refused(.invalid("the run id \(start.record.id) belongs to another run"))
            }
            if let refusal = unsaidLoss(in: start, now: now) ?? refusal(ofPlaceOf: start) { return .refused(refusal) }
        }
        if let refusal = takeQuota(for: change.starts, now: now) { return .refused(refusal) }
        put(change.row, at: change.key)
        for start in change.starts { insert(start) }
        // What is addressed to a run that is gone has nobody to be told to.
        for delivery in change.deliveries { _ = deliver(delivery, now: now) }
        hasNews = true
        return .scheduled
    }

    private mutating func put(_ row: ScheduleRow?, at key: ScheduleKey) {
        if let due = schedules[key]?.dueAt { dueSchedules.remove(SchedulePlace(at: due, key: key)) }
        schedules[key] = row
        if row == nil { scheduleKeys.remove(key) } else { scheduleKeys.insert(key) }
        if let due = row?.dueAt { dueSchedules.insert(SchedulePlace(at: due, key: key)) }
    }

    func schedules(_ query: ScheduleQuery) -> [ScheduleRow] {
        var found: [ScheduleRow] = []
        switch query {
        case .one(let key): return schedules[key].map { [$0] } ?? []
        case .listed(let namespace, let after, let limit):
            scheduleKeys.forEach(from: after ?? ScheduleKey(namespace: namespace ?? "", id: "")) { key in
                guard found.count < limit, namespace.map({ $0 == key.namespace }) ?? true else { return false }
                if key != after, let row = schedules[key] { found.append(row) }
                return true
            }
        case .due(let after, let end, let limit):
            dueSchedules.forEach(from: after) { place in
                guard found.count < limit, place.at <= end else { return false }
                if place != after, let row = schedules[place.key] { found.append(row) }
                return true
            }
        }
        return found
    }

    /// What is kept twice, and what each row says of itself.
    var scheduleBreaches: [String] {
        let rows = scheduleKeys.elements.compactMap { schedules[$0] }
        var breaches = rows.flatMap(\.breaches)
        if rows.count != schedules.count { breaches.append("the schedules that are listed are not those that there are") }
        let due = rows.compactMap { row in row.dueAt.map { SchedulePlace(at: $0, key: row.key) } }.sorted()
        if dueSchedules.elements != due { breaches.append("the schedules that are due are not found as they should be") }
        return breaches
    }
}
